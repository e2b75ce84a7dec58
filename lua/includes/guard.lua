-- The layout that these scripts read and write; docs/design.md describes it.
local LAYOUT = '1'

-- Reason to refuse before anything is touched, or nil: the call is not the script's, one of the
-- arguments at the positions `...` is no whole number, or the shard is of another layout. O(1).
--
-- Redis does not roll back. So a script that writes has read every key with a command of its type
-- before (the key it writes first may do without): one that holds something else raises WRONGTYPE
-- with nothing written.
local function refusal(number_of_keys, least_arguments, ...)
  if #KEYS ~= number_of_keys or #ARGV < least_arguments then
    return redis.error_reply('SAVERARGS expected ' .. number_of_keys .. ' keys and at least '
      .. least_arguments .. ' arguments, not ' .. #KEYS .. ' and ' .. #ARGV)
  end
  for _, position in ipairs({ ... }) do
    if not ARGV[position]:find('^%d+$') or #ARGV[position] > 16 then
      return redis.error_reply('SAVERARGS argument ' .. position .. ' must be a whole number')
    end
  end
  local version = redis.call('GET', key.layout)
  if version and version ~= LAYOUT then
    return redis.error_reply('SAVERLAYOUT the data under ' .. key.layout .. ' has layout '
      .. version .. ', this saver knows layout ' .. LAYOUT
      .. ': upgrade the saver, or use another prefix')
  end
end
