#!lua flags=no-writes
-- Walks the ancestors of a checkpoint and reads their writes, for each channel back to the nearest
-- ancestor that has a value stored for it. Stops at the first of: every channel has one, the root,
-- MAX_WALKED ancestors, MAX_BYTES to send.
--
-- KEYS          of the thread, see includes/keys.lua
-- ARGV[1] thread_id, ARGV[2] ns
-- ARGV[3] checkpoint_id  the one to start below; '' for the latest
-- ARGV[4] since    '' at first, then the reply's
-- ARGV[5..]        channels to find a value for
-- Reply: [[[task_id, writes, ...] of each ancestor, from the newest],
--         [channel, its value, position of its ancestor in the page, ...],
--         checkpoint_id to go on below or nil at the end,
--         id of the checkpoint whose ancestors these are: `since` of the next call].
-- Errors: SAVERARGS, SAVERLAYOUT, SAVERLOST, WRONGTYPE.
-- Cost: O(ancestors * (channels + tasks)).

-- @include keys
-- @include guard
-- @include clock
-- @include chunks
-- @include references
-- @include record
-- @include page
-- @include lost

local MAX_WALKED, MAX_BYTES = 1000, 1048576

local call = redis.call
local thread_id, ns, checkpoint_id, since = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local remaining, left = {}, 0
for position = 5, #ARGV do
  remaining[ARGV[position]] = true
  left = left + 1
end

local function parts_at(id)
  local record = call('HGET', key.checkpoints, ns .. '\0' .. id)
  return record and parts_of(record)
end

-- Reads the values that an ancestor has for channels that remain.
local function find_values(parts, position, found)
  for reference in each(parts.references) do
    local channel = reference:sub(1, reference:find('\0', 1, true) - 1)
    local value = remaining[channel] and call('HGET', key.values, ns .. '\0' .. reference)
    if value and value ~= '' then
      remaining[channel] = nil
      left = left - 1
      page.bytes = page.bytes + #value
      for _, part in ipairs({ channel, value, position }) do found[#found + 1] = part end
    end
  end
end

-- Whether one of the channels that remain continues, by what the first checkpoint says, beyond what
-- is still there.
local function is_cut(first)
  for pair in each(first.lows) do
    if remaining[pair:sub(1, pair:find('\0', 1, true) - 1)] then return true end
  end
  return false
end

local refused = refusal(THREAD_KEYS, 5)
if refused then return refused end

if checkpoint_id == '' then
  local latest = call('ZREVRANGEBYLEX', key.index, '(' .. ns .. '\1', '[' .. ns .. '\0',
    'LIMIT', 0, 1)[1]
  checkpoint_id = latest and latest:sub(#ns + 2) or ''
end
local parts = parts_at(checkpoint_id)
if not parts then return loss(key.index, thread_id) or { {}, {}, false } end
if since == '' then since = checkpoint_id end

local ancestors, found = {}, {}
while left > 0 and parts.parent ~= '' do
  if #ancestors >= MAX_WALKED or page.bytes >= MAX_BYTES then
    return { ancestors, found, checkpoint_id, since }
  end
  checkpoint_id = parts.parent
  parts = parts_at(checkpoint_id)
  if not parts then
    local first = parts_at(since)
    if first and is_cut(first) then return LOST end
    break
  end
  ancestors[#ancestors + 1] = writes_of(ns .. '\0' .. checkpoint_id)
  find_values(parts, #ancestors, found)
end
return { ancestors, found, false, since }
