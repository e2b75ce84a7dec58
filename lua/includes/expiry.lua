-- Whether the thread still has a key that an earlier write gave a time to live. To ask the clock
-- would not do: at the very millisecond, and before Redis 7.2 a little after it, a script still
-- sees the keys. O(keys of a thread).
local function is_expiring()
  for position = SHARD_KEYS + 1, THREAD_KEYS - 1 do
    if redis.call('PTTL', KEYS[position]) >= 0 then return true end
  end
  return false
end

-- Gives all keys of the thread one time to live after a write: `ttl` milliseconds from now; with 0
-- the one that the thread has. A pinned thread has none. O(keys of a thread).
local function renew(thread_id, ttl)
  local expires_at = redis.call('ZSCORE', key.expiry, thread_id)
  if expires_at == 'inf' or ttl == 0 and not expires_at then return end
  if ttl > 0 then
    expires_at = now() + ttl
    redis.call('ZADD', key.expiry, digits(expires_at), thread_id)
  elseif tonumber(expires_at) <= now() and not is_expiring() then
    -- It expired, and this write begins it anew.
    redis.call('ZREM', key.expiry, thread_id)
    expires_at = nil
  end
  for position = SHARD_KEYS + 1, THREAD_KEYS - 1 do
    if expires_at then
      redis.call('PEXPIREAT', KEYS[position], digits(tonumber(expires_at)))
    else
      redis.call('PERSIST', KEYS[position])
    end
  end
  -- Tombstones have a time of their own, but do not outlive the thread.
  if expires_at then
    redis.call('PEXPIREAT', key.deleted, digits(tonumber(expires_at)), 'LT')
  end
end
