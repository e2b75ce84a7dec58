#!lua flags=allow-oom
-- Deletes everything of one thread. The first call makes the thread disappear whole; the registry
-- of runs is cleared a batch a call, so send it again while it replies 1.
--
-- KEYS[1] layout       string  layout of the shard
-- KEYS[2] threads      zset    threads of the shard: thread_id
-- KEYS[3] runs         zset    runs of the shard: run .. thread_id
-- KEYS[4] thread_runs  hash    run -> number of the thread's checkpoints that it made
-- KEYS[5..10]          index, timeline, checkpoints, values, writes, pending of the thread
-- ARGV[1] thread_id
-- Reply: 1 when runs are left to clear, else 0. Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(BATCH * log runs); memory is freed in the background.

-- @include guard

local BATCH = 500

local call = redis.call
local layout, threads, runs, thread_runs = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local thread_id = ARGV[1]

local refused = refusal(10, 1)
if refused then return refused end

-- [run, count, ...]; a small hash comes whole whatever COUNT says. Passes over what the calls
-- before have emptied.
local cursor, batch = '0'
repeat
  cursor, batch = unpack(call('HSCAN', thread_runs, cursor, 'COUNT', BATCH))
until #batch > 0 or cursor == '0'
call('ZCARD', runs)  -- see guard

call('ZREM', threads, thread_id)
call('UNLINK', unpack(KEYS, 5))
for position = 1, #batch, 2 do
  call('HDEL', thread_runs, batch[position])
  call('ZREM', runs, batch[position] .. thread_id)
end
if call('EXISTS', thread_runs) == 1 then return 1 end
if call('EXISTS', threads, runs) == 0 then call('UNLINK', layout) end
return 0
