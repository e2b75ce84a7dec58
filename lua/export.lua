#!lua flags=no-writes
-- Reads a page of a thread's checkpoints, the oldest first over all namespaces; after the last one
-- the writes whose checkpoint is not there.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id
-- ARGV[2] order    'timeline', then 'pending'
-- ARGV[3] from     ZRANGEBYLEX bound in that order: '-', or '(' .. last member of the page before
-- ARGV[4] count    int     how many at most
-- Reply: [checkpoints, values, bases, next bound or nil at the end of the order] as list.lua's; in
--        the order 'pending' [[ns NUL checkpoint_id NUL task_id, writes, ...], [], [], next bound
--        or nil].
-- Errors: SAVERARGS, SAVERLAYOUT, SAVERLOST, WRONGTYPE.
-- Cost: O(count * (channels + tasks) + log checkpoints).

-- @include keys
-- @include guard
-- @include clock
-- @include chunks
-- @include references
-- @include chains
-- @include page
-- @include lost

local MAX_BYTES = 1048576

local call = redis.call
local thread_id, order, from, count = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])

local refused = refusal(THREAD_KEYS, 4)
if refused then return refused end

local function next_bound(members, position)
  if position < #members or #members == count then return '(' .. members[position] end
  return false
end

local members = call('ZRANGEBYLEX', key[order], from, '+', 'LIMIT', 0, count)
if order == 'pending' then
  local orphans = {}
  for _, field in ipairs(members) do
    if call('HEXISTS', key.checkpoints, field:match('^(%Z*%z%Z*)%z')) == 0 then
      orphans[#orphans + 1] = field
      orphans[#orphans + 1] = call('HGET', key.writes, field)
      if not orphans[#orphans] then return LOST end
    end
  end
  return { orphans, {}, {}, next_bound(members, #members) }
end

if writes_lost() then return LOST end
if #members == 0 then
  return loss(key.timeline, thread_id) or { {}, {}, {}, false }
end
for position, member in ipairs(members) do
  local checkpoint_id, ns = member:match('^(%Z*)%z(%Z*)$')
  local record = call('HGET', key.checkpoints, ns .. '\0' .. checkpoint_id)
  if not record then return LOST end
  add_checkpoint(ns, checkpoint_id, record)
  if page.bytes >= MAX_BYTES or position == #members then
    return { page.checkpoints, page.values, page.bases, next_bound(members, position) }
  end
end
