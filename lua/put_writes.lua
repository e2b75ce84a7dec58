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
-- Reply: 'OK'. Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(writes of the task + log tasks).

-- @include guard
-- @include register

local call = redis.call
local layout, threads, writes, pending = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local thread_id, field, record = ARGV[1], ARGV[2], ARGV[3]

-- The writes of a task so far: slots in order of arrival, and the slot of each index.
local slots, slot_of = {}, {}

-- Adds the writes of `packed`; false when it is cut short.
local function add(packed)
  local position = 1
  while position <= #packed do
    if position + 7 > #packed then return false end
    local index, length = struct.unpack('>i4I4', packed, position)
    local after = position + 8 + length
    if after > #packed + 1 then return false end
    local slot = slot_of[index]
    if not slot then
      slot = #slots + 1
      slot_of[index] = slot
    end
    if index < 0 or not slots[slot] then
      slots[slot] = packed:sub(position, after - 1)
    end
    position = after
  end
  return true
end

local refused = refusal(4, 3)
if refused then return refused end

if not (add(call('HGET', writes, field) or '') and add(record)) then
  return redis.error_reply('SAVERARGS the record of writes is cut short')
end

local registered = call('ZSCORE', threads, thread_id)

call('ZADD', pending, 0, field)
call('HSET', writes, field, table.concat(slots))
if not registered then register(layout, threads, thread_id) end
return redis.status_reply('OK')
