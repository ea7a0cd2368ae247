-- Looks for deliveries to one endpoint that are not in exactly one place (law 5), or not on record.
-- KEYS: none
-- ARGV: 1 endpoint, then event ids
-- Returns: per delivery at fault: {event, whether the event is kept, is owed, is listed under its serial, is due, is
--          leased, is settled, has a line by the index, stands in its line, is the first of it}, each but the
--          event as 1 or 0
local endpoint, answer = ARGV[1], {}
if redis.call('EXISTS', 'sn:endpoint:' .. endpoint) == 0 then return answer end

local function examine(event)
  local logged = redis.call('HMGET', 'sn:event:' .. event, 'serial', 'space')
  local indexed = redis.call('HGET', 'sn:lines:' .. endpoint, event)
  local line = 'sn:line:' .. endpoint .. ':' .. (indexed or logged[2] or '')
  local status = redis.call('HGET', 'sn:delivery:dlv_' .. string.sub(event, 5) .. string.sub(endpoint, 4), 'status')
  local serial = redis.call('ZSCORE', 'sn:owes:' .. endpoint, event)
  local facts = {
    kept = logged[1], owed = redis.call('SISMEMBER', 'sn:owed:' .. event, endpoint) == 1,
    owes = serial and (not logged[1] or tonumber(serial) == tonumber(logged[1])), due = redis.call('ZSCORE', 'sn:due:' .. endpoint, event),
    leased = redis.call('ZSCORE', 'sn:leased:' .. endpoint, event), settled = status and status ~= 'pending',
    indexed = indexed, lined = redis.call('ZSCORE', line, event), first = redis.call('ZRANGE', line, 0, 0)[1] == event,
  }
  local waits = facts.lined and not facts.first and not facts.due and not facts.leased
  local places = (facts.due and 1 or 0) + (facts.leased and 1 or 0) + (facts.settled and 1 or 0) + (waits and 1 or 0)
  local is_known = places > 0 or facts.owed or facts.owes or indexed or facts.lined or status
  if not is_known or (not facts.kept and places == 0 and not indexed) then return end
  local on_record = not facts.kept or (facts.owed and facts.owes)
  local in_line = not indexed == not facts.lined and not (facts.due and facts.lined and not facts.first)
  if places == 1 and on_record and in_line then return end
  local row = {event}
  for i, name in ipairs({'kept', 'owed', 'owes', 'due', 'leased', 'settled', 'indexed', 'lined', 'first'}) do
    row[1 + i] = facts[name] and 1 or 0
  end
  answer[#answer + 1] = row
end

for i = 2, #ARGV do examine(ARGV[i]) end
return answer
