-- For a reader that found nothing: tells an empty answer from keys that the server lost.
local LOST = redis.error_reply('SAVERLOST the server no longer holds every key of this thread '
  .. '(evicted, or deleted by hand): set maxmemory-policy to noeviction; '
  .. 'delete_thread() clears what is left')

-- Whether the thread has writes that nothing lists any more. O(1).
local function writes_lost(keys)
  return redis.call('EXISTS', keys.pending) == 0 and redis.call('EXISTS', keys.writes) == 1
end

-- LOST when the thread should have had entries in `order` (its index or timeline), else nil. O(1).
local function loss(keys, order, thread_id)
  if redis.call('EXISTS', order) == 1 then return nil end
  local orphaned = redis.call('EXISTS', keys.checkpoints, keys.values) > 0
  local registered = redis.call('ZSCORE', keys.threads, thread_id)
  if orphaned or registered and redis.call('EXISTS', keys.pending) == 0 then return LOST end
end
