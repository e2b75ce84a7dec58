-- Iterates over the `channel NUL version` names of a record's references. By plain finds: a pattern
-- would take longer than the commands that use what it finds. O(#references).
local function each(references)
  local from = 1
  return function()
    if from > #references then return nil end
    local stop = references:find('\0', references:find('\0', from, true) + 1, true)
    local reference = references:sub(from, stop - 1)
    from = stop + 1
    return reference
  end
end
