#!lua flags=no-writes
-- Reads a page of the threads of one shard, in order of their ids.
--
-- KEYS[1] layout   string  layout of the shard
-- KEYS[2] threads  zset    threads of the shard: thread_id
-- ARGV[1] after    ZRANGEBYLEX bound: '-', or '(' .. last thread_id of the page before
-- ARGV[2] count    int     how many at most
-- Reply: [thread_id, ...]; fewer than `count` means the end.
-- Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(count + log threads).

-- @include guard

local refused = refusal(2, 2)
if refused then return refused end

return redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], '+', 'LIMIT', 0, tonumber(ARGV[2]))
