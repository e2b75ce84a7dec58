#!lua flags=allow-oom
-- Deletes the checkpoints that one run made in one thread, with their writes, the newest first.
-- Those that a delta channel of another checkpoint still needs stay.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id
-- ARGV[2] run      the run's digest
-- ARGV[3] high     ZREVRANGEBYLEX bound: '[' .. run .. '\255' at first, then the reply before
-- Reply: bound of the next call; at the end how many of the run's checkpoints stay, nil for none.
-- Errors: SAVERARGS, SAVERLAYOUT, SAVERLOST, WRONGTYPE.
-- Cost: O(WORK) fields.

-- @include keys
-- @include guard
-- @include chunks
-- @include references
-- @include clock
-- @include registry
-- @include record
-- @include chains
-- @include drop
-- @include lost

local WORK = 500

local thread_id, run, high = ARGV[1], ARGV[2], ARGV[3]

-- Whether a newer checkpoint of the namespace continues values from this one's id or an older one.
-- O(distinct lows).
local function is_needed(ns, checkpoint_id)
  local high_low, start = '(' .. ns .. '\0' .. checkpoint_id .. '\1', '[' .. ns .. '\0'
  while true do
    local last = redis.call('ZREVRANGEBYLEX', key.spans, high_low, start, 'LIMIT', 0, 1)[1]
    if not last then return false end
    local low, newest = last:match('^%Z*%z(%Z*)%z(%Z*)$')
    if precedes(checkpoint_id, newest) then return true end
    high_low = '(' .. ns .. '\0' .. low .. '\0'
  end
end

-- The subgraph calls of a root checkpoint that is removed, which another run may have made, go with
-- the next trim. How many they are. O(calls of the root).
local function disown_calls(root)
  local first, last = '[' .. root .. '\0', '(' .. root .. '\1'
  local calls = redis.call('ZRANGEBYLEX', key.calls, first, last)
  for _, member in ipairs(calls) do redis.call('ZADD', key.calls, 0, member:sub(#root + 1)) end
  redis.call('ZREMRANGEBYLEX', key.calls, first, last)
  return #calls
end

local refused = refusal(THREAD_KEYS, 3)
if refused then return refused end
check_drop_keys()
local lost = loss(key.index, thread_id)
if lost then return lost end

local work = WORK
local members
repeat
  members = redis.call('ZREVRANGEBYLEX', key.thread_runs, high, '[' .. run, 'LIMIT', 0, 20)
  for _, member in ipairs(members) do
    high = '(' .. member
    local checkpoint_id, ns = member:sub(#run + 1):match('^(%Z*)%z(%Z*)$')
    work = work - 1
    if not is_needed(ns, checkpoint_id) then
      work = work - drop(thread_id, ns, checkpoint_id)
      if ns == '' then work = work - disown_calls(checkpoint_id) end
    end
    if work <= 0 then break end
  end
until #members == 0 or work <= 0
-- The registry may name a thread that has no checkpoint of the run any more.
if #members == 0 then leave_run(thread_id, run, '') end
after_drops(thread_id)
if #members > 0 then return high end
sweep(thread_id)
local left = redis.call('ZLEXCOUNT', key.thread_runs, '[' .. run, '[' .. run .. '\255')
return left > 0 and left
