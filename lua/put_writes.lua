#!lua
-- Stores the writes of one task under a checkpoint that may not have arrived yet. A special write
-- (index below 0) replaces what is there; of a regular one the first writer wins, whole.
--
-- KEYS[1] layout   string  layout of the shard
-- KEYS[2] threads  zset    threads of the shard: thread_id
-- KEYS[3] writes   hash    ns NUL checkpoint_id NUL task_id -> record
-- KEYS[4] pending  zset    ns NUL checkpoint_id NUL task_id
-- ARGV[1] thread_id
-- ARGV[2] field    ns NUL checkpoint_id NUL task_id
-- ARGV[3] record   bytes   (index, length, body)*, see saver/_codec.py; bodies are not read
-- Reply: 'OK'. Errors: SAVERLAYOUT, SAVERTYPE.
-- Cost: O(writes of the task + log tasks).

-- @include guard

local call = redis.call
local layout, threads, writes, pending = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local thread_id, field, record = ARGV[1], ARGV[2], ARGV[3]

-- Puts each write of `record` into `entries` by its index, in order of arrival in `order`.
local function merge(entries, order, record_)
  local position = 1
  while position <= #record_ do
    local index, length = struct.unpack('>i4I4', record_, position)
    local after = position + 8 + length
    if not entries[index] then
      order[#order + 1] = index
    end
    if index < 0 or not entries[index] then
      entries[index] = record_:sub(position, after - 1)
    end
    position = after
  end
end

local refused = refusal({ 'string', 'zset', 'hash', 'zset' })
if refused then return refused end

local present = call('HGET', writes, field)
if present then
  local entries, order = {}, {}
  merge(entries, order, present)
  merge(entries, order, record)
  for position, index in ipairs(order) do order[position] = entries[index] end
  record = table.concat(order)
end

call('SET', layout, LAYOUT, 'NX')
call('HSET', writes, field, record)
call('ZADD', pending, 0, field)
call('ZADD', threads, 0, thread_id)
return redis.status_reply('OK')
