-- The registries of a shard: its threads, the runs that made checkpoints of each, and when threads
-- expire.

-- Enters a thread, and marks the shard's layout. O(log threads).
local function register(thread_id)
  redis.call('ZADD', key.threads, 0, thread_id)
  redis.call('SET', key.layout, LAYOUT)
end

-- Removes up to `most` entries of a thread's runs; true when none is left. O(most * log runs).
local function forget_runs(thread_id, most)
  local members = redis.call('ZRANGEBYLEX', key.runs_of, '[' .. thread_id .. '\0',
    '(' .. thread_id .. '\1', 'LIMIT', 0, most)
  for _, member in ipairs(members) do
    redis.call('ZREM', key.runs, member:sub(#thread_id + 2) .. thread_id)
    redis.call('ZREM', key.runs_of, member)
  end
  return #members < most
end

-- Removes a thread and up to `most` entries of its runs, and the shard's layout with its last
-- thread; true when no run is left. Else it stays as one that expired, so that sweep() goes on
-- should nobody call again. O(most * log runs).
local function unregister(thread_id, most)
  if not forget_runs(thread_id, most) then
    redis.call('ZADD', key.expiry, 0, thread_id)
    return false
  end
  redis.call('ZREM', key.threads, thread_id)
  redis.call('ZREM', key.expiry, thread_id)
  if redis.call('EXISTS', key.threads, key.runs, key.expiry) == 0 then
    redis.call('UNLINK', key.layout)
  end
  return true
end

-- Removes what the registries still hold of threads that expired, so that every writer does a
-- little: of its own one, before this begins anew, and of 3 others. Those a second later, as a
-- script may see keys a moment longer than the clock has it. O(log threads).
local function sweep(thread_id)
  if redis.call('EXISTS', key.expiry) == 0 then return end
  local expires_at = tonumber(redis.call('ZSCORE', key.expiry, thread_id))
  if expires_at and expires_at <= now() and redis.call('EXISTS', key.index, key.pending) == 0 then
    unregister(thread_id, 500)
  end
  local expired = redis.call('ZRANGEBYSCORE', key.expiry, '-inf', digits(now() - 1000),
    'LIMIT', 0, 3)
  for _, one in ipairs(expired) do unregister(one, 100) end
end
