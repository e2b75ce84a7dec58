-- The layout that these scripts read and write; docs/design.md describes it.
local LAYOUT = '1'

-- Reason to refuse before anything is touched, or nil; a write that failed half way would not be
-- rolled back. Refuses a call that is not the script's, a key that holds what is not ours, and a
-- shard of another layout. `kinds` names the type of each of KEYS, the first the layout marker.
-- O(#kinds).
local function refusal(kinds, least_arguments)
  if #KEYS ~= #kinds or #ARGV < least_arguments then
    return redis.error_reply('SAVERARGS expected ' .. #kinds .. ' keys and at least '
      .. least_arguments .. ' arguments, not ' .. #KEYS .. ' and ' .. #ARGV)
  end
  for position, kind in ipairs(kinds) do
    local found = redis.call('TYPE', KEYS[position]).ok
    if found ~= 'none' and found ~= kind then
      return redis.error_reply('SAVERTYPE ' .. KEYS[position] .. ' holds a ' .. found .. ', not a '
        .. kind .. ': something else writes under this prefix; choose another prefix')
    end
  end
  local version = redis.call('GET', KEYS[1])
  if version and version ~= LAYOUT then
    return redis.error_reply('SAVERLAYOUT the data under ' .. KEYS[1] .. ' has layout ' .. version
      .. ', this saver knows layout ' .. LAYOUT .. ': upgrade the saver, or use another prefix')
  end
end
