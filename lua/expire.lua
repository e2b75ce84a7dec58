#!lua flags=allow-oom
-- Sets how long a thread lives.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id
-- ARGV[2] ttl      milliseconds from now; 'pin' for ever, whatever savers ask; 'unpin' for ever,
--                  until a saver asks
-- Reply: 1, or 0 when there is no such thread. Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(keys of a thread).

-- @include keys
-- @include guard
-- @include clock
-- @include registry
-- @include expiry

local thread_id, ttl = ARGV[1], ARGV[2]

local for_ever = ttl == 'pin' or ttl == 'unpin'

local refused = refusal(THREAD_KEYS, 2, not for_ever and 2 or nil)
if refused then return refused end
for _, name in ipairs({ 'threads', 'runs', 'runs_of', 'expiry' }) do
  redis.call('ZCARD', key[name])
end

sweep(thread_id)
if redis.call('EXISTS', key.index, key.pending) == 0 then return 0 end
redis.call('ZREM', key.expiry, thread_id)
if ttl == 'pin' then
  redis.call('ZADD', key.expiry, 'inf', thread_id)
elseif not for_ever then
  renew(thread_id, tonumber(ttl))
  return 1
end
for position = SHARD_KEYS + 1, THREAD_KEYS - 1 do redis.call('PERSIST', KEYS[position]) end
return 1
