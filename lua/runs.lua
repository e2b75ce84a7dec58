#!lua flags=no-writes
-- Finds the threads of one shard in which runs made checkpoints.
--
-- KEYS[1..5]    of the shard, see includes/keys.lua
-- ARGV[1] count    int     how many threads of a run at most
-- ARGV[2..]        ZRANGEBYLEX bounds: '[' .. run to begin, or '(' .. run .. last thread_id
-- Reply: for each bound [run .. thread_id, ...]; fewer than `count` means the end.
-- Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(bounds * (count + log runs)).

-- @include keys
-- @include guard

local RUN_SIZE = 8

local refused = refusal(SHARD_KEYS, 2)
if refused then return refused end

local found = {}
for position = 2, #ARGV do
  local from = ARGV[position]
  found[#found + 1] = redis.call('ZRANGEBYLEX', key.runs, from,
    '[' .. from:sub(2, 1 + RUN_SIZE) .. '\255', 'LIMIT', 0, tonumber(ARGV[1]))
end
return found
