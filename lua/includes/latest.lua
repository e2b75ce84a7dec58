-- The reply of get_tuple.lua and get_tuple_renewing.lua: one checkpoint, the one named or the
-- latest. O(channels + tasks + log checkpoints).
local function find_checkpoint(thread_id, ns, checkpoint_id)
  if checkpoint_id == '' then checkpoint_id = newest_id(ns) end
  if not checkpoint_id then return loss(key.index, thread_id) or { {}, {}, {} } end
  local member = ns .. '\0' .. checkpoint_id
  local record = redis.call('HGET', key.checkpoints, member)
  if not record then
    if redis.call('ZSCORE', key.index, member) then return LOST end
    return loss(key.index, thread_id) or { {}, {}, {} }
  end
  if writes_lost() then return LOST end
  add_checkpoint(ns, checkpoint_id, record)
  return { page.checkpoints, page.values, page.bases }
end
