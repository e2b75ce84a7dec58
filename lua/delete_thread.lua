#!lua flags=allow-oom
-- Deletes everything of one thread. The first call makes the thread disappear whole; the registries
-- of runs are cleared a batch a call, so send it again while it replies 1.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id
-- Reply: 1 when runs are left to clear, else 0. Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(BATCH * log runs); memory is freed in the background.

-- @include keys
-- @include guard
-- @include clock
-- @include registry

local BATCH = 250

local thread_id = ARGV[1]

local refused = refusal(THREAD_KEYS, 1)
if refused then return refused end
-- See guard.
for _, name in ipairs({ 'threads', 'runs', 'runs_of', 'expiry' }) do
  redis.call('ZCARD', key[name])
end

redis.call('UNLINK', unpack(KEYS, SHARD_KEYS + 1))
sweep(thread_id)
return unregister(thread_id, BATCH) and 0 or 1
