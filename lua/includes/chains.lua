-- Values that are stored as what changed since an earlier version, see saver/_envelope.py.

local function is_compressed(value)
  return value:find('^[ZzDd]') ~= nil
end

-- The value field that a stored delta starts from, and the check that it expects there; nil for
-- other values. O(#field).
local function base_of(field, value)
  if not value:find('^[Dd]') then return nil end
  local base = value:sub(23, value:find('\0', 23, true) - 1)
  return field:match('^.*%z') .. base, value:sub(10, 17)
end
