#!lua flags=no-writes
-- include: lib/queue.lua
-- include: lib/record.lua
-- include: lib/state.lua
-- Looks for deliveries to one endpoint that are not in exactly one place (law 5), or not on record.
-- KEYS: 1 state:<endpoint>
-- ARGV: 1 endpoint, then per event: id, its serial ('' = it is not kept), its Space
-- Returns: per delivery at fault: {event, whether the event is kept, is owed, is listed under its serial, is due, is
--          leased, is settled, has a line by the index, is in its line, is the first of it}, each but the
--          event as 1 or 0
local endpoint, answer = ARGV[1], {}
if not is_here(endpoint) then return answer end

local function examine(event, own_serial, space)
  local kept = own_serial ~= ''
  local indexed = redis.call('HGET', lines_key(endpoint), event)
  local line = line_key(endpoint, indexed or space)
  local status = status_of(endpoint, event)
  local serial = redis.call('ZSCORE', history_key(endpoint), event)
  local facts = {
    kept = kept, owed = redis.call('SISMEMBER', recipients_key(event), endpoint) == 1,
    listed = serial and (not kept or tonumber(serial) == tonumber(own_serial)),
    due = redis.call('ZSCORE', due_key(endpoint), event), leased = redis.call('ZSCORE', leased_key(endpoint), event),
    settled = status and status ~= 'pending', indexed = indexed,
    lined = redis.call('ZSCORE', line, event), first = redis.call('ZRANGE', line, 0, 0)[1] == event,
  }
  local waits = facts.lined and not facts.first and not facts.due and not facts.leased
  local places = (facts.due and 1 or 0) + (facts.leased and 1 or 0) + (facts.settled and 1 or 0) + (waits and 1 or 0)
  local is_known = places > 0 or facts.owed or facts.listed or indexed or facts.lined or status
  if not is_known or (not kept and places == 0 and not indexed) then return end
  local on_record = not kept or (facts.owed and facts.listed)
  local in_line = not indexed == not facts.lined and not (facts.due and facts.lined and not facts.first)
  if places == 1 and on_record and in_line then return end
  local row = {event}
  for i, name in ipairs({'kept', 'owed', 'listed', 'due', 'leased', 'settled', 'indexed', 'lined', 'first'}) do
    row[1 + i] = facts[name] and 1 or 0
  end
  answer[#answer + 1] = row
end

for i = 2, #ARGV, 3 do examine(ARGV[i], ARGV[i + 1], ARGV[i + 2]) end
return answer
