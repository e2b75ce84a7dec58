#!lua
-- Ends a copy: what was staged under a name of its own becomes the thread, in one step. Before that
-- its runs go into the registries, a batch a call.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua; [17..27] the staged thread's own, as [6..16]
-- ARGV[1] thread_id
-- ARGV[2] staged_id    under which it was staged
-- ARGV[3] ttl          int     milliseconds that the thread lives from now, 0 for ever
-- Reply: 'MORE' to be sent again; 'OK'; 'TAKEN' when the thread has checkpoints or writes; 'GONE'
--        when nothing is staged.
-- Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(BATCH * log runs + keys of a thread).

-- @include keys
-- @include guard
-- @include clock
-- @include registry
-- @include expiry

local BATCH = 250

local call = redis.call
local thread_id, staged_id, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3])

local refused = refusal(2 * THREAD_KEYS - SHARD_KEYS, 3, 3)
if refused then return refused end
for _, name in ipairs({ 'threads', 'runs', 'runs_of', 'expiry' }) do call('ZCARD', key[name]) end

local staged = 0
for position = THREAD_KEYS + 1, #KEYS do staged = staged + call('EXISTS', KEYS[position]) end
if staged == 0 then return redis.status_reply('GONE') end
if call('EXISTS', key.index, key.pending) > 0 then return redis.status_reply('TAKEN') end

-- What is left of a thread that expired goes first, else a sweep would take the copy's runs for
-- its own.
if call('ZSCORE', key.expiry, thread_id) and not unregister(thread_id, BATCH) then
  return redis.status_reply('MORE')
end
local members = call('ZRANGEBYLEX', key.runs_of, '[' .. staged_id .. '\0', '(' .. staged_id .. '\1',
  'LIMIT', 0, BATCH)
for _, member in ipairs(members) do
  local run = member:sub(#staged_id + 2)
  call('ZADD', key.runs, 0, run .. thread_id)
  call('ZADD', key.runs_of, 0, thread_id .. '\0' .. run)
end
if not forget_runs(staged_id, BATCH) then return redis.status_reply('MORE') end

for position = SHARD_KEYS + 1, THREAD_KEYS do
  local from = KEYS[position + THREAD_KEYS - SHARD_KEYS]
  call('UNLINK', KEYS[position])
  if call('EXISTS', from) == 1 then
    call('RENAME', from, KEYS[position])
    call('PERSIST', KEYS[position])
  end
end
register(thread_id)
unregister(staged_id, 1)
renew(thread_id, ttl)
return redis.status_reply('OK')
