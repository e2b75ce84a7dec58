#!lua flags=allow-oom
-- Keeps the newest checkpoints of each namespace of a thread, and all that these need: values,
-- writes, ancestors that delta channels continue. The checkpoints of a subgraph call go with the
-- root checkpoint that it started from. Namespace by namespace, so send it again with what it
-- replies.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id
-- ARGV[2] keep_last    int     how many of each namespace stay
-- ARGV[3] from         ZRANGEBYLEX bound of the index: '-' to begin, then the reply before
-- Reply: bound of the next call, or nil at the end.
-- Errors: SAVERARGS, SAVERLAYOUT, SAVERLOST, WRONGTYPE.
-- Cost: O(WORK) fields.

-- @include keys
-- @include guard
-- @include chunks
-- @include references
-- @include clock
-- @include registry
-- @include record
-- @include chains
-- @include drop
-- @include trim
-- @include lost

local WORK = 500

local thread_id, keep_last, from = ARGV[1], tonumber(ARGV[2]), ARGV[3]

local refused = refusal(THREAD_KEYS, 3, 2)
if refused then return refused end
check_drop_keys()
local lost = loss(key.index, thread_id)
if lost then return lost end

local work = WORK
local first
repeat
  first = redis.call('ZRANGEBYLEX', key.index, from, '+', 'LIMIT', 0, 1)[1]
  if first then
    local ns = first:sub(1, first:find('\0', 1, true) - 1)
    work = trim(thread_id, ns, keep_last, work - 3)
    from = work > 0 and '[' .. ns .. '\1' or '[' .. ns .. '\0'
  end
until not first or work <= 0
after_drops(thread_id)
sweep(thread_id)
return first and from or false
