-- For a reader that found nothing: tells an empty answer from keys that the server lost.
local LOST = redis.error_reply('SAVERLOST the server no longer holds every key of this thread '
  .. '(evicted, or deleted by hand): set maxmemory-policy to noeviction; '
  .. 'delete_thread() clears what is left')

-- Whether the thread has writes that nothing lists any more. O(1).
local function writes_lost()
  return redis.call('EXISTS', key.pending) == 0 and redis.call('EXISTS', key.writes) == 1
end

-- LOST when the thread should have had entries in `order` (its index or timeline), else nil: a
-- thread that expired has lost nothing. O(1).
local function loss(order, thread_id)
  if redis.call('EXISTS', order) == 1 then return nil end
  if redis.call('EXISTS', key.checkpoints, key.values) > 0 then return LOST end
  if not redis.call('ZSCORE', key.threads, thread_id) then return nil end
  if redis.call('EXISTS', key.pending) == 1 then return nil end
  local expires_at = tonumber(redis.call('ZSCORE', key.expiry, thread_id))
  if not expires_at or expires_at > now() then return LOST end
end
