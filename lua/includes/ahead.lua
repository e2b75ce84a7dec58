-- The writes of a checkpoint's ancestors, which mostly follow each other in the order of ids: their
-- fields are read ahead, by checkpoint, of all from `newest` down to, but without, `oldest`; nil:
-- to the end.
local AHEAD = 200

local fields_by, newest, oldest = {}, nil, nil

local function read_ahead(ns, id)
  local member = ns .. '\0' .. id
  local found = redis.call('ZREVRANGEBYLEX', key.pending, '(' .. member .. '\1', '[' .. ns .. '\0',
    'LIMIT', 0, AHEAD)
  fields_by, newest, oldest = {}, id, nil
  local last
  for _, field in ipairs(found) do
    last = field:sub(#ns + 2, field:find('\0', #ns + 2, true) - 1)
    fields_by[last] = fields_by[last] or {}
    table.insert(fields_by[last], field)
  end
  if #found == AHEAD then  -- of the last one there may be more
    oldest, fields_by[last] = last, nil
  end
end

local function is_read(id)
  return fields_by[id] or newest and not precedes(newest, id)
    and not (oldest and not precedes(oldest, id))
end

-- {task_id, record, ...} of the tasks that wrote under an ancestor. O(tasks) over a whole walk.
local function tasks_of(ns, id)
  if not is_read(id) then read_ahead(ns, id) end
  -- It has more tasks than are read ahead.
  if id == oldest then return writes_of(ns .. '\0' .. id) end
  local tasks, fields = {}, fields_by[id] or {}
  for position = #fields, 1, -1 do
    local record = redis.call('HGET', key.writes, fields[position])
    tasks[#tasks + 1] = fields[position]:sub(#ns + #id + 3)
    tasks[#tasks + 1] = record
    page.bytes = page.bytes + (record and #record or 0)
  end
  return tasks
end
