-- A page of checkpoints on its way to the client. A channel value that several checkpoints of the
-- page refer to is read and sent once, and so are the versions that deltas start from: page.bases
-- has the position of a value's base, 0 for none.
local page = { checkpoints = {}, values = {}, bases = {}, bytes = 0 }
local position_of = {}

local function add_value(position, value)
  page.values[position] = value
  page.bases[position] = 0
  page.bytes = page.bytes + (value and size_of(value) or 0)
end

-- Adds what the value at a position starts from, back to its keyframe. O(links).
local function add_bases(position, field)
  local value = page.values[position]
  local base = value and base_of(field, value)
  while base do
    local known = position_of[base]
    page.bases[position] = known or #page.values + 1
    if known then return end
    position, field, value = #page.values + 1, base, redis.call('HGET', key.values, base)
    position_of[field] = position
    add_value(position, value)
    base = value and base_of(field, value)
  end
end

-- Positions in page.values of the values that `references` names, in its order; reads the new ones.
local function add_values(ns, references)
  local positions, missing, first = {}, {}, #page.values
  for reference in each(references) do
    local field = ns .. '\0' .. reference
    if not position_of[field] then
      missing[#missing + 1] = field
      position_of[field] = first + #missing
    end
    positions[#positions + 1] = position_of[field]
  end
  in_chunks('HMGET', key.values, missing, 1, #missing, function(found, from)
    for offset, value in ipairs(found) do add_value(first + from + offset - 1, value) end
  end)
  for offset, field in ipairs(missing) do add_bases(first + offset, field) end
  return positions
end

-- {task_id, record, ...} of the tasks that wrote under a checkpoint.
local function writes_of(checkpoint)
  local first = checkpoint .. '\0'
  local fields = redis.call('ZRANGEBYLEX', key.pending, '[' .. first, '(' .. checkpoint .. '\1')
  local tasks = {}
  in_chunks('HMGET', key.writes, fields, 1, #fields, function(found, from)
    for offset, record in ipairs(found) do
      tasks[#tasks + 1] = fields[from + offset - 1]:sub(#first + 1)
      tasks[#tasks + 1] = record
      page.bytes = page.bytes + (record and #record or 0)
    end
  end)
  return tasks
end

-- Adds a checkpoint as {ns, checkpoint_id, record, positions of its values, its tasks' writes}.
-- O(channels + tasks).
local function add_checkpoint(ns, checkpoint_id, record)
  local _, _, _, _, references = struct.unpack('>I4c0I4c0I4c0I4c0I4c0', record, 2)
  page.bytes = page.bytes + #record
  page.checkpoints[#page.checkpoints + 1] = {
    ns, checkpoint_id, record,
    add_values(ns, references),
    writes_of(ns .. '\0' .. checkpoint_id),
  }
end
