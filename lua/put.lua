#!lua
-- Stores one checkpoint whole: its new channel values, its record, its place in every order.
-- An existing checkpoint of the same id is replaced.
--
-- KEYS[1..16]   of the thread, see includes/keys.lua
-- ARGV[1] thread_id, ARGV[2] ns, ARGV[3] checkpoint_id
-- ARGV[4] record       bytes   see saver/_codec.py
-- ARGV[5] flags        one a reference: 1 its value is among the fields below, ? it is stored
--                      already, 0 it has none
-- ARGV[6] deltas       channel NUL, for each whose value continues that of the parent
-- ARGV[7] ttl          int     milliseconds that the thread lives from now, 0 to leave it as it is
-- ARGV[8] keep_last    int     how many checkpoints of the namespace stay, 0 for all
-- ARGV[9] cleared      int     how many value fields follow whose channel has no value any more
-- ARGV[10..]           cleared fields, then field, value, field, value, ...
-- Reply: 'OK'; or 'INCOMPLETE' with nothing stored when a value flagged ? is not there, or not the
--        version that a delta starts from.
-- Errors: SAVERARGS, SAVERLAYOUT, WRONGTYPE.
-- Cost: O(channels + log checkpoints), and 2 * TRIMMED fields of older checkpoints with keep_last.

-- @include keys
-- @include guard
-- @include chunks
-- @include references
-- @include clock
-- @include registry
-- @include expiry
-- @include record
-- @include held
-- @include chains
-- @include incoming
-- @include drop
-- @include trim

local TRIMMED = 50

local call = redis.call
local thread_id, ns, checkpoint_id, record, flags = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local deltas, ttl, keep_last = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local cleared = tonumber(ARGV[9])

-- The record as it is stored. O(#sections).
local function stored(sections, held_flags, lows)
  return 'P' .. struct.pack('>I4', #held_flags) .. held_flags
    .. struct.pack('>I4', #lows) .. lows .. sections:sub(2)
end

local refused = refusal(THREAD_KEYS, 9, 7, 8, 9)
if refused then return refused end

local member, entry = ns .. '\0' .. checkpoint_id, checkpoint_id .. '\0' .. ns
local run, _, references, parent, origin =
  struct.unpack('>I4c0I4c0I4c0I4c0I4c0', record, 2)
local held, number_of_references = held_by(ns, references, flags)
local first_value = 10 + cleared
local pairs_left = (#ARGV + 1 - first_value) / 2
if #flags ~= number_of_references or flags:find('[^01?]') or pairs_left < 0
    or pairs_left % 1 ~= 0 then
  return redis.error_reply('SAVERARGS flags or fields do not fit together')
end

local replaced = call('HGET', key.checkpoints, member)
local before = replaced and parts_of(replaced)
local held_before = before and held_by(ns, before.references, before.flags) or {}
for field, flag in pairs(held) do
  if flag == '?' and call('HEXISTS', key.values, field) == 0 then
    return redis.status_reply('INCOMPLETE')
  end
end
local values = incoming(first_value)
if not values then return redis.status_reply('INCOMPLETE') end
local lows = lows_of(ns, checkpoint_id, parent, deltas)
local low = lowest(lows)
local registered = call('ZSCORE', key.threads, thread_id)
local run_registered = run == '' or call('ZSCORE', key.runs, run .. thread_id)
-- Most threads have neither.
local has_extras = call('EXISTS', key.expiry, key.deleted) > 0
local was_deleted = has_extras and call('ZSCORE', key.deleted, member)
if before or keep_last > 0 or has_extras or ttl > 0 then
  check_drop_keys()
else
  -- The keys that nothing above has read and that are written below, see guard.
  for _, name in ipairs({ 'index', 'timeline', 'thread_runs' }) do call('ZCARD', key[name]) end
  call('HLEN', key.holders)
  if not run_registered then call('ZCARD', key.runs_of) end
  if low then call('ZCARD', key.spans) end
  if origin ~= '' then call('ZCARD', key.calls) end
end

if has_extras then
  sweep(thread_id)
  registered = call('ZSCORE', key.threads, thread_id)
  run_registered = run == '' or call('ZSCORE', key.runs, run .. thread_id)
end
store_values(values, held, held_before)
clear_values(10, first_value - 1)
call('HSET', key.checkpoints, member, stored(record, (flags:gsub('%?', '1')), lows))
call('ZADD', key.index, 0, member)
call('ZADD', key.timeline, 0, entry)
if before then
  for field in pairs(held_before) do
    if not held[field] then release(field) end
  end
  if before.run ~= run then leave_run(thread_id, before.run, entry) end
  leave_orders(ns, checkpoint_id, before)
end
if run ~= '' then call('ZADD', key.thread_runs, 0, run .. entry) end
if not run_registered then
  call('ZADD', key.runs, 0, run .. thread_id)
  call('ZADD', key.runs_of, 0, thread_id .. '\0' .. run)
end
if low then call('ZADD', key.spans, 0, ns .. '\0' .. low .. '\0' .. checkpoint_id) end
if origin ~= '' then
  local is_gone = has_extras and call('ZSCORE', key.deleted, '\0' .. origin)
  call('ZADD', key.calls, 0, (is_gone and '' or origin) .. '\0' .. member)
end
if was_deleted then call('ZREM', key.deleted, member) end
if not registered then register(thread_id) end
if keep_last > 0 then
  trim(thread_id, ns, keep_last, TRIMMED)
  -- A root checkpoint may have many calls to remove, so their own puts help.
  if ns ~= '' then trim(thread_id, '', keep_last, TRIMMED) end
  after_drops(thread_id)
end
if has_extras or ttl > 0 then renew(thread_id, ttl) end
return redis.status_reply('OK')
