#!lua
-- include: lib/polls.lua
-- Creates a watch or changes one, keeps its kind's identities unique, and starts or stops its polls.
-- KEYS: 1 watch:<id>, 2 watch-by:<kind>
-- ARGV: 1 JSON of {id, document, replaced ('' = create, else the text that was read), identity and identity_before
--       ('' = none), ends and begins (call and subject of the poll that does; none = none does), now in ms, space
--       (id, of a watch of one Space; '' = other kinds), follows_hosts}
-- Returns: '' when done, '-' when there is no such watch, '~' when it was changed since it was read, else the
--          id of the watch that has the identity
local asked = cjson.decode(ARGV[1])
local id, ends, begins = asked.id, asked.ends, asked.begins
local stored = redis.call('GET', KEYS[1])
if asked.replaced ~= '' and not stored then return '-' end
if asked.replaced ~= '' and stored ~= asked.replaced then return '~' end
local holder = redis.call('HGET', KEYS[2], asked.identity)
-- A watch that was deleted while its name was resolved may have left its identity behind.
if holder and holder ~= id and redis.call('EXISTS', watch_key(holder)) == 1 then return holder end
if asked.identity_before ~= '' and asked.identity_before ~= asked.identity then
  redis.call('HDEL', KEYS[2], asked.identity_before)
end
redis.call('HSET', KEYS[2], asked.identity, id)
redis.call('SET', KEYS[1], asked.document)
if not stored then redis.call('ZADD', watches_key, redis.call('INCR', serial_key), id) end
if asked.space ~= '' then redis.call('SADD', space_watches_key(asked.space), id) end
redis.call(asked.follows_hosts and 'SADD' or 'SREM', host_watches_key, id)
if ends and ends.call ~= 'lookup' then end_poll(ends.call, ends.subject) end
if begins then
  bring_forward(begins.call, begins.subject, asked.now)
  for _, space in ipairs(redis.call('ZRANGE', watch_spaces_key(id), 0, -1)) do
    -- Expiring Spaces are forgotten; all others are polled, also ended ones, which may be gone or return.
    if redis.call('TTL', space_key(space)) == -1 then bring_forward('lookup', space, asked.now) end
  end
end
return ''
