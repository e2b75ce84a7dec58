-- Calls `command name ...` for `items` in chunks that fit Lua's stack, and hands each chunk's reply
-- to `each(reply, first)`, where `first` is the position of the chunk's first item. O(#items).
local CHUNK = 1000

local function in_chunks(command, name, items, first, last, each)
  for from = first, last, CHUNK do
    local reply = redis.call(command, name, unpack(items, from, math.min(from + CHUNK - 1, last)))
    if each then each(reply, from) end
  end
end
