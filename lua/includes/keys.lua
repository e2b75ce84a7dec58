-- KEYS by name. Every script takes them in this order; those that serve a whole shard take the
-- first five only. Type and content of each: docs/design.md, Layout.
local SHARD_KEYS, THREAD_KEYS = 5, 16
local key = {
  layout = KEYS[1], threads = KEYS[2], runs = KEYS[3], runs_of = KEYS[4], expiry = KEYS[5],
  index = KEYS[6], timeline = KEYS[7], checkpoints = KEYS[8], values = KEYS[9],
  holders = KEYS[10], writes = KEYS[11], pending = KEYS[12], thread_runs = KEYS[13],
  spans = KEYS[14], calls = KEYS[15], deleted = KEYS[16],
}
