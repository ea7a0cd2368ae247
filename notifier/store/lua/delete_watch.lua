#!lua
-- include: lib/polls.lua
-- Deletes a watch; Spaces that no other watch matches are no longer polled, and expire. Their content goes
-- soon, since no poll would notice when X loses it.
-- KEYS: 1 watch:<id>, 2 watch-by:<kind>, 3 watch:<id>:spaces
-- ARGV: 1 JSON of {id, identity, call and subject of its poll ('' = none), space (id, of a watch of one Space; '' =
--       other kinds), ttl of what is forgotten in s, erase_at (when content is erased in ms)}
-- Returns: 1, or 0 when there is no such watch
local asked = cjson.decode(ARGV[1])
local id = asked.id
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[2], asked.identity) == id then redis.call('HDEL', KEYS[2], asked.identity) end
redis.call('ZREM', watches_key, id)
redis.call('SREM', host_watches_key, id)
if asked.call ~= '' and asked.call ~= 'lookup' then end_poll(asked.call, asked.subject) end
local spaces = redis.call('ZRANGE', KEYS[3], 0, -1)
if asked.space ~= '' then spaces[#spaces + 1] = asked.space end
for _, space in ipairs(spaces) do
  local watches = space_watches_key(space)
  redis.call('SREM', watches, id)
  if redis.call('SCARD', watches) == 0 then
    untrack(space, asked.erase_at)
    redis.call('EXPIRE', space_key(space), asked.ttl)
  end
end
redis.call('DEL', KEYS[3])
return 1
