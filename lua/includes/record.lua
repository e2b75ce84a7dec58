local SECTIONS = '>' .. ('I4c0'):rep(9)

-- What scripts read of a checkpoint record: its run, references, parent, origin, and what put.lua
-- appended to it, flags of held values and lows. See saver/_codec.py. O(#record).
local function parts_of(record)
  local run, _, references, parent, origin, _, _, _, _, rest =
    struct.unpack(SECTIONS, record, 2)
  local _, count = references:gsub('%z', '')
  return {
    run = run, references = references, parent = parent, origin = origin,
    flags = record:sub(rest, rest + count / 2 - 1), lows = record:sub(rest + count / 2),
  }
end

-- Whether the checkpoint of a record holds the value of its nth reference. O(1).
local function is_held(record, nth)
  local position = select(10, struct.unpack(SECTIONS, record, 2)) + nth - 1
  return record:sub(position, position) == '1'
end

-- Whether id `left` comes before `right` by bytes, as in a sorted set. Lua's `<` would follow the
-- server's locale.
local function precedes(left, right)
  for position = 1, math.min(#left, #right) do
    local one, other = left:byte(position), right:byte(position)
    if one ~= other then return one < other end
  end
  return #left < #right
end

-- The smallest of a record's lows, or nil when it has none. O(channels).
local function lowest(lows)
  local least
  for pair in each(lows) do
    local low = pair:sub(pair:find('\0', 1, true) + 1)
    if not least or precedes(low, least) then least = low end
  end
  return least
end
