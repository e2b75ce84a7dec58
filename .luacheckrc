-- Globals that Redis and Valkey give to scripts.
std = "lua51"
read_globals = { "redis", "struct", "KEYS", "ARGV" }
max_line_length = 100
-- What an include brings and not every script needs.
ignore = {
  "211/SHARD_KEYS", "211/THREAD_KEYS", "211/digits", "211/register", "211/sweep", "211/lowest",
  "211/add_checkpoint", "211/writes_lost", "211/is_compressed", "211/size_of",
}
