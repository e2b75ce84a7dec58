-- What scripts read of a stored checkpoint record, see saver/_codec.py. `flags` says of each
-- reference whether its value is held. O(#record).
local function parts_of(record)
  local flags, lows, run, _, references, parent, origin =
    struct.unpack('>I4c0I4c0I4c0I4c0I4c0I4c0I4c0', record, 2)
  return {
    flags = flags, lows = lows, run = run, references = references, parent = parent,
    origin = origin,
  }
end

-- Whether id `left` comes before `right` by bytes, as in a sorted set. Lua's `<` would follow the
-- server's locale.
local function precedes(left, right)
  for position = 1, math.min(#left, #right) do
    local one, other = left:byte(position), right:byte(position)
    if one ~= other then return one < other end
  end
  return #left < #right
end

-- The smallest of a record's lows, or nil when it has none. O(channels).
local function lowest(lows)
  local least
  for pair in each(lows) do
    local low = pair:sub(pair:find('\0', 1, true) + 1)
    if not least or precedes(low, least) then least = low end
  end
  return least
end
