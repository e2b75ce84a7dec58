#!lua flags=allow-oom
-- get_tuple.lua, and the thread lives for another ttl from now: for savers with refresh_on_read.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id, ARGV[2] ns
-- ARGV[3] checkpoint_id  '' for the latest: the greatest id of the namespace
-- ARGV[4] ttl   int     milliseconds
-- Reply: [checkpoints, values, bases] as list.lua's, with at most one checkpoint.
-- Errors: SAVERARGS, SAVERLAYOUT, SAVERLOST, WRONGTYPE.
-- Cost: O(channels + tasks + log checkpoints).

-- @include keys
-- @include guard
-- @include clock
-- @include expiry
-- @include chunks
-- @include references
-- @include chains
-- @include page
-- @include lost
-- @include newest
-- @include latest

local refused = refusal(THREAD_KEYS, 4, 4)
if refused then return refused end

local found = find_checkpoint(ARGV[1], ARGV[2], ARGV[3])
if #page.checkpoints > 0 then renew(ARGV[1], tonumber(ARGV[4])) end
return found
