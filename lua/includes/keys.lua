-- KEYS by name. Every script takes them in this order; those that serve a whole shard take the
-- first five only. Type and content of each: docs/design.md, Layout.
local key = {}
for position, name in ipairs({
  'layout', 'threads', 'runs', 'runs_of', 'expiry',
  'index', 'timeline', 'checkpoints', 'values', 'holders', 'writes', 'pending', 'thread_runs',
  'spans', 'calls', 'deleted',
}) do
  key[name] = KEYS[position]
end
local SHARD_KEYS, THREAD_KEYS = 5, 16
