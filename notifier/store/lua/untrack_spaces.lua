#!lua
-- include: lib/polls.lua
-- Ends the polls of Spaces whose watches are all paused. One of them may go on again since that was seen: it has
-- had the Space polled, and so it stays.
-- KEYS: 1 spaces
-- ARGV: 1 when their content is erased in ms, then the Space ids
-- Returns: nothing
local function is_followed(space)
  for _, id in ipairs(redis.call('SMEMBERS', space_watches_key(space))) do
    local record = redis.call('GET', watch_key(id))
    local watch = record and cjson.decode(record)
    if watch and type(watch.subject) == 'string' and not watch.paused then return true end
  end
  return false
end

for i = 2, #ARGV do
  if not is_followed(ARGV[i]) then untrack(ARGV[i], ARGV[1]) end
end
