#!lua flags=no-writes
-- Reads a page of the threads of one shard, in order of their ids.
--
-- KEYS[1..5]    of the shard, see includes/keys.lua
-- ARGV[1] after    ZRANGEBYLEX bound: '[\1' to begin, or '(' .. last thread_id of the page before
-- ARGV[2] count    int     how many at most
-- Reply: [thread_id, ...]; fewer than `count` means the end. A thread that has expired may be
-- among them; ids that begin with NUL, which name copies under way, are not.
-- Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(count + log threads).

-- @include keys
-- @include guard

local refused = refusal(SHARD_KEYS, 2)
if refused then return refused end

return redis.call('ZRANGEBYLEX', key.threads, ARGV[1], '+', 'LIMIT', 0, tonumber(ARGV[2]))
