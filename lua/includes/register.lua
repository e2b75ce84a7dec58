-- Enters a thread into its shard, and marks the shard's layout. O(log threads).
local function register(layout, threads, thread_id)
  redis.call('ZADD', threads, 0, thread_id)
  redis.call('SET', layout, LAYOUT)
end
