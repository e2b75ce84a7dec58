#!lua flags=no-writes
-- Reads a page of a thread's checkpoints, newest first, that match every filter term.
-- Stops at the first of: `count` found, MAX_BYTES to send, MAX_SCANNED looked at, end of range.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id
-- ARGV[2] order        'index' (one namespace) or 'timeline' (all of them)
-- ARGV[3] high, ARGV[4] low   ZREVRANGEBYLEX bounds in that order
-- ARGV[5] count        int     how many checkpoints at most
-- ARGV[6..]            filter terms, see saver/_filters.py: '=' key value, or '?' key value when
--                      a checkpoint without the key matches too; key and value are 8-byte digests
-- Reply: [[[ns, checkpoint_id, record, [position of value, ...], [task_id, writes, ...]], ...],
--         [value or nil, ...],            positions count from 1
--         [position of the value that it starts from or 0, ...],  one a value
--         high of the next page, or nil at the end].
-- Errors: SAVERARGS, SAVERLAYOUT, SAVERLOST, WRONGTYPE.
-- Cost: O(MAX_SCANNED + count * (channels + tasks) + log checkpoints).

-- @include keys
-- @include guard
-- @include clock
-- @include chunks
-- @include references
-- @include chains
-- @include page
-- @include lost

local MAX_SCANNED, MAX_BYTES, STEP = 1000, 1048576, 100

local call = redis.call
local thread_id, order, high, low, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])

-- Whether a checkpoint's digests (key value)* have a pair that starts with these bytes.
local function holds(digests, bytes)
  local position = digests:find(bytes, 1, true)
  while position and position % 16 ~= 1 do
    position = digests:find(bytes, position + 1, true)
  end
  return position ~= nil
end

local function matches(record)
  if #ARGV < 6 then return true end
  local _, _, _, digests = struct.unpack('>I4c0I4c0I4c0I4c0', record, 2)
  for position = 6, #ARGV do
    local term = ARGV[position]
    if not holds(digests, term:sub(2)) then
      if term:sub(1, 1) == '=' or holds(digests, term:sub(2, 9)) then return false end
    end
  end
  return true
end

-- Namespace and checkpoint id of a member of the order in use.
local function split(member)
  local left, right = member:match('^(%Z*)%z(%Z*)$')
  if order == 'index' then return left, right end
  return right, left
end

local function records_of(members)
  local fields = {}
  for position, member in ipairs(members) do
    local ns, checkpoint_id = split(member)
    fields[position] = ns .. '\0' .. checkpoint_id
  end
  return call('HMGET', key.checkpoints, unpack(fields))
end

local refused = refusal(THREAD_KEYS, 5)
if refused then return refused end

if writes_lost() then return LOST end
local scanned, step = 0, #ARGV < 6 and math.min(count, STEP) or STEP
while scanned < MAX_SCANNED do
  local members = call('ZREVRANGEBYLEX', key[order], high, low, 'LIMIT', 0, step)
  if #members == 0 then
    return loss(key[order], thread_id) or { page.checkpoints, page.values, page.bases, false }
  end
  for position, record in ipairs(records_of(members)) do
    high = '(' .. members[position]
    if not record then return LOST end
    if matches(record) then
      local ns, checkpoint_id = split(members[position])
      add_checkpoint(ns, checkpoint_id, record)
      if #page.checkpoints >= count or page.bytes >= MAX_BYTES then
        return { page.checkpoints, page.values, page.bases, high }
      end
    end
  end
  scanned = scanned + #members
end
return { page.checkpoints, page.values, page.bases, high }
