-- The layout that these scripts read and write; docs/design.md describes it.
local LAYOUT = '1'

-- Reason to refuse before anything is touched, or nil: the shard was written in another layout,
-- or a key holds what is not ours (a write that fails half way would not be rolled back).
-- `kinds` names the type of each of KEYS in order; KEYS[1] is the layout marker. O(#kinds).
local function refusal(kinds)
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
