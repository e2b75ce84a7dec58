-- What a checkpoint holds, and what it continues, at the time of its put.

-- {field = flag} of the values that a checkpoint holds, and how many references it has.
-- O(channels).
local function held_by(ns, references, held_flags)
  local held, position = {}, 0
  for reference in each(references) do
    position = position + 1
    local flag = held_flags:sub(position, position)
    if flag ~= '0' then held[ns .. '\0' .. reference] = flag end
  end
  return held, position
end

-- `channel NUL low NUL` for each delta channel: the smallest id on the way from the parent back to
-- where the channel's value was last stored. O(channels).
local function lows_of(ns, checkpoint_id, parent, deltas)
  if deltas == '' then return '' end
  local stored = parent ~= '' and redis.call('HGET', key.checkpoints, ns .. '\0' .. parent)
  local before = stored and parts_of(stored)
  -- The parent has no low of a channel whose value it holds: there the way ends.
  local low_of, lows = {}, {}
  if before then
    for pair in each(before.lows) do
      local stop = pair:find('\0', 1, true)
      low_of[pair:sub(1, stop - 1)] = pair:sub(stop + 1)
    end
  end
  for channel in deltas:gmatch('%Z+') do
    local low = before and parent or checkpoint_id
    local further = low_of[channel]
    if further and precedes(further, low) then low = further end
    lows[#lows + 1] = channel .. '\0' .. low .. '\0'
  end
  return table.concat(lows)
end
