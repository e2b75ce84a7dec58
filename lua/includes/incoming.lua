-- The values that come with a put: field, value, field, value, ... from a position of ARGV on.

-- [{field, value, is it new}, ...] of those to store, or nil when a delta does not find the very
-- version that it starts from. A value that is there in compressed form stays: others may start
-- from it, and a version names one value. O(values).
local function incoming(first)
  local found, value_of = {}, {}
  for position = first, #ARGV, 2 do
    local field, value = ARGV[position], ARGV[position + 1]
    local there = redis.call('HGET', key.values, field)
    if not (there and is_compressed(there)) then
      local base, check = base_of(field, value)
      local start = base and (value_of[base] or redis.call('HGET', key.values, base))
      if base and not (start and is_compressed(start) and start:sub(2, 9) == check) then
        return nil
      end
      value_of[field] = value
      found[#found + 1] = { field, value, not there }
    end
  end
  return found
end

-- Stores the values of `incoming`, and counts who holds a value from now on: deltas that start from
-- it, and the checkpoint, but for those that it held before. The first to hold one is not counted.
-- O(values + held).
local function store_values(values, held, held_before)
  local is_fresh = {}
  local function hold(field)
    if not is_fresh[field] then redis.call('HINCRBY', key.holders, field, 1) end
    is_fresh[field] = nil
  end
  for _, parts in ipairs(values) do
    local field, value, is_new = unpack(parts)
    redis.call('HSET', key.values, field, value)
    is_fresh[field] = is_new
    local base = base_of(field, value)
    if base then hold(base) end
  end
  for field in pairs(held) do
    if not held_before[field] then hold(field) end
  end
end

-- Empties the values whose fields stand from one position of ARGV to another, for channels that
-- have none any more. O(fields).
local function clear_values(first, last)
  for position = first, last do
    local there = redis.call('HGET', key.values, ARGV[position])
    if there and not is_compressed(there) then
      redis.call('HSET', key.values, ARGV[position], '')
    end
  end
end
