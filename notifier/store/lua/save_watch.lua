-- include: lib/polls.lua
-- Creates a watch or changes one, keeps its kind's identities unique, and starts or stops its polls.
-- KEYS: 1 watch:<id>, 2 watch-by:<kind>
-- ARGV: 1 id, 2 watch as JSON, 3 the JSON that it replaces ('' = create), 4 identity so far ('' = none), 5 identity, 6 call and
--       7 subject of the poll that ends ('' = none), 8 call and 9 subject of the poll that begins ('' = none),
--       10 now in ms, 11 Space id of a watch of one Space ('' = other kinds), 12 whether it follows hosts ('1')
-- Returns: '' when done, '-' when there is no such watch, '~' when it was changed since it was read, else the
--          id of the watch that has the identity
local stored = redis.call('GET', KEYS[1])
if ARGV[3] ~= '' and not stored then return '-' end
if ARGV[3] ~= '' and stored ~= ARGV[3] then return '~' end
local holder = redis.call('HGET', KEYS[2], ARGV[5])
-- A watch that was deleted while its name was resolved may have left its identity behind.
if holder and holder ~= ARGV[1] and redis.call('EXISTS', 'sn:watch:' .. holder) == 1 then return holder end
if ARGV[4] ~= '' and ARGV[4] ~= ARGV[5] then redis.call('HDEL', KEYS[2], ARGV[4]) end
redis.call('HSET', KEYS[2], ARGV[5], ARGV[1])
redis.call('SET', KEYS[1], ARGV[2])
if not stored then redis.call('ZADD', 'sn:watches', redis.call('INCR', 'sn:serial'), ARGV[1]) end
if ARGV[11] ~= '' then redis.call('SADD', 'sn:space:' .. ARGV[11] .. ':watches', ARGV[1]) end
redis.call(ARGV[12] == '1' and 'SADD' or 'SREM', 'sn:host-watches', ARGV[1])
if ARGV[6] ~= '' and ARGV[6] ~= 'lookup' then end_poll(ARGV[6], ARGV[7]) end
if ARGV[8] ~= '' then
  bring_forward(ARGV[8], ARGV[9], ARGV[10])
  for _, space in ipairs(redis.call('ZRANGE', 'sn:watch:' .. ARGV[1] .. ':spaces', 0, -1)) do
    -- What expires is forgotten; all else is polled, also what is over and may be gone or come back.
    if redis.call('TTL', 'sn:space:' .. space) == -1 then bring_forward('lookup', space, ARGV[10]) end
  end
end
return ''
