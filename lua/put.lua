#!lua
-- Stores one checkpoint whole: its new channel values, its record, its place in every index.
-- An existing checkpoint of the same id is replaced.
--
-- KEYS[1] layout       string  layout of the shard
-- KEYS[2] threads      zset    threads of the shard: thread_id
-- KEYS[3] runs         zset    runs of the shard: run .. thread_id
-- KEYS[4] index        zset    ns NUL checkpoint_id
-- KEYS[5] timeline     zset    checkpoint_id NUL ns
-- KEYS[6] checkpoints  hash    ns NUL checkpoint_id -> record
-- KEYS[7] values       hash    ns NUL channel NUL version -> value
-- KEYS[8] thread_runs  hash    run -> number of the thread's checkpoints that it made
-- ARGV[1] thread_id, ARGV[2] ns, ARGV[3] checkpoint_id
-- ARGV[4] record       bytes   see saver/_codec.py; this script reads run and references
-- ARGV[5] flags        one a reference: is its value held? 1, 0, or ? for this script to look
-- ARGV[6] cleared      int     how many value fields follow whose channel has no value any more
-- ARGV[7..]            cleared fields, then field, value, field, value, ...
-- Reply: 'OK'. Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(channels + log checkpoints).

-- @include guard
-- @include register
-- @include chunks
-- @include references

local call = redis.call
local layout, threads, runs, index, timeline = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local checkpoints, values, thread_runs = KEYS[6], KEYS[7], KEYS[8]
local thread_id, ns, checkpoint_id, record, flags = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]

-- The flags, each ? replaced; nil when they are not one a reference. By them a reader tells a value
-- that was lost from one that never was.
local function held(references)
  local found = {}
  for reference in each(references) do
    local position = #found + 1
    local flag = flags:sub(position, position)
    if not flag:find('^[01?]$') then return nil end
    found[position] = flag == '?' and call('HEXISTS', values, ns .. '\0' .. reference) or flag
  end
  return #found == #flags and table.concat(found) or nil
end

local function count_run(run, change)
  if run == '' then return end
  if call('HINCRBY', thread_runs, run, change) > 0 then
    call('ZADD', runs, 0, run .. thread_id)
  else
    call('HDEL', thread_runs, run)
    call('ZREM', runs, run .. thread_id)
  end
end

local refused = refusal(8, 6)
if refused then return refused end

local member = ns .. '\0' .. checkpoint_id
local run, _, references = struct.unpack('>I4c0I4c0I4c0', record, 2)
local cleared, held_flags = tonumber(ARGV[6]), held(references)
local first_value = 7 + cleared
local pairs_left = (#ARGV + 1 - first_value) / 2
if not held_flags or cleared < 0 or pairs_left < 0 or pairs_left % 1 ~= 0 then
  return redis.error_reply('SAVERARGS flags or fields do not fit together')
end

local replaced = call('HGET', checkpoints, member)
local run_before = replaced and struct.unpack('>I4c0', replaced, 2) or ''
local registered = call('ZSCORE', threads, thread_id)
-- The keys that nothing above has read, see guard.
for _, key in ipairs({ runs, index, timeline }) do call('ZCARD', key) end
for _, key in ipairs({ values, thread_runs }) do call('HLEN', key) end

in_chunks('HSET', values, ARGV, first_value, #ARGV)
for position = 7, first_value - 1 do
  if call('HEXISTS', values, ARGV[position]) == 1 then
    call('HSET', values, ARGV[position], '')
  end
end
call('HSET', checkpoints, member, record .. held_flags)
call('ZADD', index, 0, member)
call('ZADD', timeline, 0, checkpoint_id .. '\0' .. ns)
if run ~= run_before then
  count_run(run_before, -1)
  count_run(run, 1)
end
if not registered then register(layout, threads, thread_id) end
return redis.status_reply('OK')
