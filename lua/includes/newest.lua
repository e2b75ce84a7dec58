-- The greatest checkpoint id of a namespace, which is its latest checkpoint; nil when it has none.
-- O(log checkpoints).
local function newest_id(ns)
  local member = redis.call('ZREVRANGEBYLEX', key.index, '(' .. ns .. '\1', '[' .. ns .. '\0',
    'LIMIT', 0, 1)[1]
  return member and member:sub(#ns + 2)
end
