#!lua
-- Stores the writes of one task under a checkpoint that may not have arrived yet. A special write
-- (index below 0) replaces what is there; of a regular one the first writer wins, whole. Writes
-- under a checkpoint that was removed a short while ago are ignored.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id
-- ARGV[2] member   ns NUL checkpoint_id
-- ARGV[3] task_id
-- ARGV[4] record   bytes   (index, length, body)*, see saver/_codec.py; bodies are not read
-- ARGV[5] ttl      int     milliseconds that the thread lives from now, 0 to leave that as it is
-- Reply: 'OK', or 'IGNORED'. Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(writes of the task + log tasks).

-- @include keys
-- @include guard
-- @include clock
-- @include registry
-- @include expiry

local call = redis.call
local thread_id, member, record, ttl = ARGV[1], ARGV[2], ARGV[4], tonumber(ARGV[5])

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

local refused = refusal(THREAD_KEYS, 5, 5)
if refused then return refused end

-- Most threads have neither.
local has_extras = call('EXISTS', key.expiry, key.deleted) > 0
if has_extras and call('ZSCORE', key.deleted, member) then return redis.status_reply('IGNORED') end
local field = member .. '\0' .. ARGV[3]
if not (add(call('HGET', key.writes, field) or '') and add(record)) then
  return redis.error_reply('SAVERARGS the record of writes is cut short')
end

local registered = call('ZSCORE', key.threads, thread_id)
call('ZCARD', key.pending)  -- see guard
if has_extras or ttl > 0 then
  for _, name in ipairs({ 'runs', 'runs_of', 'expiry' }) do call('ZCARD', key[name]) end
  sweep(thread_id)
  registered = call('ZSCORE', key.threads, thread_id)
end

call('ZADD', key.pending, 0, field)
call('HSET', key.writes, field, table.concat(slots))
if not registered then register(thread_id) end
if has_extras or ttl > 0 then renew(thread_id, ttl) end
return redis.status_reply('OK')
