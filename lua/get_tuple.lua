#!lua flags=no-writes
-- Reads one checkpoint with its values and pending writes: the one named, or the latest.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id, ARGV[2] ns
-- ARGV[3] checkpoint_id  '' for the latest: the greatest id of the namespace
-- Reply: [checkpoints, values, bases] as list.lua's, with at most one checkpoint.
-- Errors: SAVERARGS, SAVERLAYOUT, SAVERLOST, WRONGTYPE.
-- Cost: O(channels + tasks + log checkpoints).

-- @include keys
-- @include guard
-- @include clock
-- @include chunks
-- @include references
-- @include chains
-- @include page
-- @include lost
-- @include newest
-- @include latest

return refusal(THREAD_KEYS, 3) or find_checkpoint(ARGV[1], ARGV[2], ARGV[3])
