-- Removes single checkpoints of a thread, and what nothing else needs any more.

-- A write of a run that still goes on may come after its checkpoint was removed. For so many
-- milliseconds it is known for what it is, and ignored.
local REMEMBERED = 600000

-- Ends a hold on a value. One that nothing holds any more goes, and with it its hold on the version
-- that it starts from. O(links).
local function release(field)
  while field do
    local others = tonumber(redis.call('HGET', key.holders, field) or 0)
    if others == 1 then
      redis.call('HDEL', key.holders, field)
    elseif others > 1 then
      redis.call('HINCRBY', key.holders, field, -1)
    end
    if others > 0 then return end
    local value = redis.call('HGET', key.values, field)
    redis.call('HDEL', key.values, field)
    field = value and base_of(field, value)
  end
end

-- Takes a checkpoint (`id NUL ns`) out of its run, and the run out of the registries with its
-- last one. O(log checkpoints).
local function leave_run(thread_id, run, entry)
  if run == '' then return end
  redis.call('ZREM', key.thread_runs, run .. entry)
  local left = redis.call('ZRANGEBYLEX', key.thread_runs, '[' .. run, '[' .. run .. '\255',
    'LIMIT', 0, 1)
  if #left == 0 then
    redis.call('ZREM', key.runs, run .. thread_id)
    redis.call('ZREM', key.runs_of, thread_id .. '\0' .. run)
  end
end

-- Takes a checkpoint out of the orders that only some checkpoints are in. O(log checkpoints).
local function leave_orders(ns, checkpoint_id, parts)
  local low = lowest(parts.lows)
  if low then
    redis.call('ZREM', key.spans, ns .. '\0' .. low .. '\0' .. checkpoint_id)
  end
  if parts.origin ~= '' then
    local call = '\0' .. ns .. '\0' .. checkpoint_id
    redis.call('ZREM', key.calls, parts.origin .. call, call)
  end
end

-- Removes the writes under a checkpoint; how many tasks' they were. O(tasks).
local function drop_writes(member)
  local low, high = '[' .. member .. '\0', '(' .. member .. '\1'
  local fields = redis.call('ZRANGEBYLEX', key.pending, low, high)
  in_chunks('HDEL', key.writes, fields, 1, #fields)
  redis.call('ZREMRANGEBYLEX', key.pending, low, high)
  return #fields
end

-- Removes a checkpoint whole. Returns the work in fields touched. O(channels + tasks).
local function drop(thread_id, ns, checkpoint_id)
  local member, entry = ns .. '\0' .. checkpoint_id, checkpoint_id .. '\0' .. ns
  local work = 3 + drop_writes(member)
  local record = redis.call('HGET', key.checkpoints, member)
  -- A damaged record does not say what it holds: that stays until the thread goes.
  local is_whole, parts = pcall(parts_of, record)
  if is_whole then
    local position = 0
    for reference in each(parts.references) do
      position = position + 1
      if parts.flags:sub(position, position) == '1' then release(ns .. '\0' .. reference) end
    end
    leave_run(thread_id, parts.run, entry)
    leave_orders(ns, checkpoint_id, parts)
    work = work + position
  end
  redis.call('HDEL', key.checkpoints, member)
  redis.call('ZREM', key.index, member)
  redis.call('ZREM', key.timeline, entry)
  redis.call('ZADD', key.deleted, digits(now()), member)
  return work
end

-- To call once after the last drop: a thread that is empty leaves no key. O(keys of a thread).
local function after_drops(thread_id)
  if redis.call('EXISTS', key.index, key.pending) == 0 then
    redis.call('UNLINK', unpack(KEYS, SHARD_KEYS + 1))
    unregister(thread_id, 100)
  elseif redis.call('EXISTS', key.deleted) == 1 then
    local expires_at = tonumber(redis.call('ZSCORE', key.expiry, thread_id)) or math.huge
    redis.call('ZREMRANGEBYSCORE', key.deleted, '-inf', digits(now() - REMEMBERED))
    redis.call('PEXPIREAT', key.deleted, digits(math.min(expires_at, now() + REMEMBERED)))
  end
end

-- Reads with a command of its type each key that a drop writes, see guard.
local function check_drop_keys()
  for _, name in ipairs({
    'threads', 'runs', 'runs_of', 'expiry', 'index', 'timeline', 'pending', 'thread_runs', 'spans',
    'calls', 'deleted',
  }) do
    redis.call('ZCARD', key[name])
  end
  for _, name in ipairs({ 'checkpoints', 'values', 'holders', 'writes' }) do
    redis.call('HLEN', key[name])
  end
end
