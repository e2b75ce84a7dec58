#!lua flags=no-writes
-- Tells about one thread.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id
-- Reply: [checkpoints, newest checkpoint_id, its ns, its record, tasks with writes,
--         milliseconds to live or -1 or 'inf' when pinned, bytes of memory, estimated];
--         [] when there is no such thread.
-- Errors: SAVERARGS, SAVERLAYOUT, SAVERLOST, WRONGTYPE.
-- Cost: O(keys of a thread).

-- @include keys
-- @include guard
-- @include clock
-- @include lost

local call = redis.call

local refused = refusal(THREAD_KEYS, 1)
if refused then return refused end

local checkpoints, tasks = call('ZCARD', key.index), call('ZCARD', key.pending)
if checkpoints == 0 then
  local lost = loss(key.index, ARGV[1])
  if lost or tasks == 0 then return lost or {} end
end
local newest = call('ZREVRANGE', key.timeline, 0, 0)[1] or '\0'
local checkpoint_id, ns = newest:match('^(%Z*)%z(%Z*)$')
local record = call('HGET', key.checkpoints, ns .. '\0' .. checkpoint_id)
if checkpoints > 0 and not record then return LOST end
local bytes = 0
for position = SHARD_KEYS + 1, THREAD_KEYS do
  bytes = bytes + (call('MEMORY', 'USAGE', KEYS[position]) or 0)
end
local pinned = call('ZSCORE', key.expiry, ARGV[1]) == 'inf'
return {
  checkpoints, checkpoint_id, ns, record or '', tasks,
  pinned and 'inf' or call('PTTL', checkpoints > 0 and key.index or key.pending), bytes,
}
