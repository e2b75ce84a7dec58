#!lua flags=no-writes
-- Tells about one thread.
--
-- KEYS          of the thread, see includes/keys.lua
-- ARGV[1] thread_id
-- Reply: [checkpoints, newest checkpoint_id, its ns, its record, tasks with writes,
--         milliseconds to live or -1 or 'inf' when pinned, bytes of memory, estimated];
--         [] when there is no such thread.
-- Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(keys of a thread).

-- @include keys
-- @include guard

local call = redis.call

local refused = refusal(THREAD_KEYS, 1)
if refused then return refused end

local checkpoints, tasks = call('ZCARD', key.index), call('ZCARD', key.pending)
if checkpoints + tasks == 0 then return {} end
local newest = call('ZREVRANGE', key.timeline, 0, 0)[1] or '\0'
local checkpoint_id, ns = newest:match('^(%Z*)%z(%Z*)$')
local bytes = 0
for position = SHARD_KEYS + 1, THREAD_KEYS do
  bytes = bytes + (call('MEMORY', 'USAGE', KEYS[position]) or 0)
end
local pinned = call('ZSCORE', key.expiry, ARGV[1]) == 'inf'
return {
  checkpoints, checkpoint_id, ns,
  call('HGET', key.checkpoints, ns .. '\0' .. checkpoint_id) or '', tasks,
  pinned and 'inf' or call('PTTL', checkpoints > 0 and key.index or key.pending), bytes,
}
