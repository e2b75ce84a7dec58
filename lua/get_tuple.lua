#!lua flags=no-writes
-- Reads one checkpoint with its values and pending writes: the one named, or the latest.
--
-- KEYS[1] layout       string  layout of the shard
-- KEYS[2] threads      zset    threads of the shard: thread_id
-- KEYS[3] index        zset    ns NUL checkpoint_id
-- KEYS[4] checkpoints  hash    ns NUL checkpoint_id -> record
-- KEYS[5] values       hash    ns NUL channel NUL version -> value
-- KEYS[6] writes       hash    ns NUL checkpoint_id NUL task_id -> record
-- KEYS[7] pending      zset    ns NUL checkpoint_id NUL task_id
-- ARGV[1] thread_id, ARGV[2] ns
-- ARGV[3] checkpoint_id  '' for the latest: the greatest id of the namespace
-- Reply: [checkpoints, values] as list.lua's, with at most one checkpoint.
-- Errors: SAVERARGS, SAVERLAYOUT, SAVERLOST, WRONGTYPE.
-- Cost: O(channels + tasks + log checkpoints).

-- @include guard
-- @include chunks
-- @include references
-- @include page
-- @include lost

local call = redis.call
local keys = {
  threads = KEYS[2], index = KEYS[3], checkpoints = KEYS[4], values = KEYS[5], writes = KEYS[6],
  pending = KEYS[7],
}
local thread_id, ns, checkpoint_id = ARGV[1], ARGV[2], ARGV[3]

local refused = refusal(7, 3)
if refused then return refused end

if checkpoint_id == '' then
  local latest = call('ZREVRANGEBYLEX', keys.index, '(' .. ns .. '\1', '[' .. ns .. '\0',
    'LIMIT', 0, 1)[1]
  checkpoint_id = latest and latest:sub(#ns + 2)
end

if not checkpoint_id then
  return loss(keys, keys.index, thread_id) or { {}, {} }
end
local member = ns .. '\0' .. checkpoint_id
local record = call('HGET', keys.checkpoints, member)
if not record then
  if call('ZSCORE', keys.index, member) then return LOST end
  return loss(keys, keys.index, thread_id) or { {}, {} }
end
if writes_lost(keys) then return LOST end
add_checkpoint(keys, ns, checkpoint_id, record)
return { page.checkpoints, page.values }
