-- Removes the oldest checkpoints of a namespace and keeps the newest, with all that these need.

-- Below which id nothing is needed by `oldest_kept` or a newer checkpoint of the namespace: where
-- the delta channels of one of them begin, or itself. O(distinct lows).
local function bound(ns, oldest_kept)
  local from = '[' .. ns .. '\0'
  while true do
    local first = redis.call('ZRANGEBYLEX', key.spans, from, '(' .. ns .. '\1', 'LIMIT', 0, 1)[1]
    if not first then return oldest_kept end
    local low = first:sub(#ns + 2, first:find('\0', #ns + 2, true) - 1)
    if not precedes(low, oldest_kept) then return oldest_kept end
    local start = ns .. '\0' .. low
    local last = redis.call('ZREVRANGEBYLEX', key.spans, '(' .. start .. '\1',
      '[' .. start .. '\0', 'LIMIT', 0, 1)[1]
    if not precedes(last:sub(#start + 2), oldest_kept) then return low end
    from = '[' .. start .. '\1'
  end
end

-- Removes the checkpoints of the subgraph calls that started from a root checkpoint; the work that
-- is left, 0 or less when it did not suffice. O(work).
local function drop_calls(thread_id, origin, work)
  local low, high = '[' .. origin .. '\0', '(' .. origin .. '\1'
  while work > 0 do
    local first = redis.call('ZRANGEBYLEX', key.calls, low, high, 'LIMIT', 0, 1)[1]
    if not first then return work end
    local ns, checkpoint_id = first:match('^%Z*%z(%Z*)%z(%Z*)$')
    work = work - drop(thread_id, ns, checkpoint_id)
    redis.call('ZREM', key.calls, first)
  end
  return work
end

-- Removes what is older than the newest `keep` of a namespace and not needed by them, the oldest
-- first. Returns the work that is left, 0 or less when it did not suffice. O(work + log n).
local function trim(thread_id, ns, keep, work)
  local before = redis.call('ZLEXCOUNT', key.index, '-', '(' .. ns .. '\0')
  local count = redis.call('ZLEXCOUNT', key.index, '[' .. ns .. '\0', '(' .. ns .. '\1')
  if ns == '' then work = drop_calls(thread_id, '', work) end
  if count <= keep then return work end
  local newest = before + count - 1
  local oldest_kept = redis.call('ZRANGE', key.index, newest - keep + 1, newest - keep + 1)[1]
  local needed_from = bound(ns, oldest_kept:sub(#ns + 2))
  local candidates = redis.call('ZRANGE', key.index, before,
    math.min(newest - keep, before + math.max(math.ceil(work), 0)))
  for _, member in ipairs(candidates) do
    local checkpoint_id = member:sub(#ns + 2)
    if not precedes(checkpoint_id, needed_from) then break end
    if ns == '' then work = drop_calls(thread_id, checkpoint_id, work) end
    if work <= 0 then break end
    work = work - drop(thread_id, ns, checkpoint_id)
  end
  return work
end
