#!lua flags=no-writes
-- Walks the ancestors of a checkpoint and reads their writes, for each channel back to the nearest
-- ancestor that has a value stored for it. Stops at the first of: every channel has one, the root,
-- MAX_WALKED ancestors, MAX_BYTES to send.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id, ARGV[2] ns
-- ARGV[3] checkpoint_id  the one to start below; '' for the latest
-- ARGV[4] since    '' at first, then the reply's
-- ARGV[5..]        channels to find a value for
-- Reply: [[[task_id, writes, ...] of each ancestor, from the newest],
--         [channel, position of its value, position of its ancestor in the page, ...],
--         values, bases as list.lua's,
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
-- @include chains
-- @include page
-- @include ahead
-- @include newest
-- @include lost

local MAX_WALKED, MAX_BYTES = 1000, 1048576
local LINKS = '>I4c0I4c0I4c0I4c0I4c0I4c0'
local CUT = redis.error_reply('SAVERLOST this checkpoint cannot be rebuilt: ancestors that its '
  .. 'delta channels continue were removed. prune and keep_last keep what the newest ones need')

local call = redis.call
local thread_id, ns, checkpoint_id, since = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local remaining, left = {}, 0
for position = 5, #ARGV do
  remaining[ARGV[position]] = true
  left = left + 1
end

local function record_of(id)
  return call('HGET', key.checkpoints, ns .. '\0' .. id)
end

-- The reference of a channel and its position, or nil. By plain finds: `each` would cost more than
-- the rest.
local function reference_of(references, channel)
  local pattern = channel .. '\0'
  local from = references:find(pattern, 1, true)
  while from do
    -- A name begins after an even number of NULs, a version after an odd one.
    local _, before = references:sub(1, from - 1):gsub('%z', '')
    if before % 2 == 0 and (from == 1 or references:byte(from - 1) == 0) then
      return references:sub(from, references:find('\0', from + #pattern, true) - 1), before / 2 + 1
    end
    from = references:find(pattern, from + 1, true)
  end
end

-- Reads the values that an ancestor has for channels that remain; false when one is lost.
local function find_values(flags, references, position, found)
  for channel in pairs(remaining) do
    local reference, nth = reference_of(references, channel)
    local value_field = reference and ns .. '\0' .. reference
    local value = reference and call('HGET', key.values, value_field)
    if reference and not value and flags:sub(nth, nth) == '1' then return false end
    if value and value ~= '' then
      remaining[channel] = nil
      left = left - 1
      local value_position = #page.values + 1
      position_of[value_field] = value_position
      add_value(value_position, value)
      add_bases(value_position, value_field)
      for _, part in ipairs({ channel, value_position, position }) do found[#found + 1] = part end
    end
  end
  return true
end

-- Whether one of the channels that remain continues beyond the last checkpoint that is there. One
-- that it does not know began after it.
local function is_cut(last)
  for pair in each(parts_of(last).lows) do
    if remaining[pair:sub(1, pair:find('\0', 1, true) - 1)] then return true end
  end
  return false
end

local refused = refusal(THREAD_KEYS, 5)
if refused then return refused end

if writes_lost() then return LOST end
if checkpoint_id == '' then checkpoint_id = newest_id(ns) or '' end
local record = record_of(checkpoint_id)
if not record then
  -- Once begun, the end of a history is not missed for nothing: it was removed meanwhile.
  if since ~= '' or call('ZSCORE', key.index, ns .. '\0' .. checkpoint_id) then return LOST end
  return loss(key.index, thread_id) or { {}, {}, {}, {}, false, since }
end
if since == '' then since = checkpoint_id end

local ancestors, found = {}, {}
local _, _, _, _, _, parent = struct.unpack(LINKS, record, 2)
while left > 0 and parent ~= '' do
  if #ancestors >= MAX_WALKED or page.bytes >= MAX_BYTES then
    return { ancestors, found, page.values, page.bases, checkpoint_id, since }
  end
  local before = record_of(parent)
  if not before then
    if is_cut(record) then return CUT end
    break
  end
  checkpoint_id, record = parent, before
  local flags, references
  flags, _, _, _, references, parent = struct.unpack(LINKS, record, 2)
  ancestors[#ancestors + 1] = tasks_of(ns, checkpoint_id)
  if not find_values(flags, references, #ancestors, found) then return LOST end
end
return { ancestors, found, page.values, page.bases, false, since }
