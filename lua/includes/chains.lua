-- Values that are stored as what changed since an earlier version, see saver/_envelope.py.

local function is_compressed(value)
  return value:find('^[ZzDd]') ~= nil
end

-- Bytes of a value once it is restored, which is what a reader must hold.
local function size_of(value)
  local position = value:find('^[Zz]') and 10 or value:find('^[Dd]') and 19
  if not position or #value < position + 3 then return #value end
  return struct.unpack('>I4', value, position)
end

-- The value field that a stored delta starts from, and the check that it expects there; nil for
-- other values. O(#field).
local function base_of(field, value)
  local stop = value:find('^[Dd]') and value:find('\0', 23, true)
  if not stop then return nil end
  return field:match('^.*%z') .. value:sub(23, stop - 1), value:sub(10, 17)
end
