-- Globals that Redis and Valkey give to scripts.
std = "lua51"
read_globals = { "redis", "struct", "KEYS", "ARGV" }
max_line_length = 100
