-- include: lib/polls.lua
-- Deletes a watch; Spaces that no other watch matches are no longer polled, and expire. Their content goes
-- soon, since nobody would notice when X has it no more.
-- KEYS: 1 watch:<id>, 2 watch-by:<kind>, 3 watch:<id>:spaces
-- ARGV: 1 id, 2 identity, 3 call and 4 subject of its poll ('' = none), 5 TTL of what is forgotten in s,
--       6 Space id of a watch of one Space ('' = other kinds), 7 when content is erased in ms
-- Returns: 1, or 0 when there is no such watch
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
if redis.call('HGET', KEYS[2], ARGV[2]) == ARGV[1] then redis.call('HDEL', KEYS[2], ARGV[2]) end
redis.call('ZREM', 'sn:watches', ARGV[1])
redis.call('SREM', 'sn:host-watches', ARGV[1])
if ARGV[3] ~= '' and ARGV[3] ~= 'lookup' then end_poll(ARGV[3], ARGV[4]) end
local spaces = redis.call('ZRANGE', KEYS[3], 0, -1)
if ARGV[6] ~= '' then spaces[#spaces + 1] = ARGV[6] end
for _, space in ipairs(spaces) do
  local watches = 'sn:space:' .. space .. ':watches'
  redis.call('SREM', watches, ARGV[1])
  if redis.call('SCARD', watches) == 0 then
    untrack(space, ARGV[7])
    redis.call('EXPIRE', 'sn:space:' .. space, ARGV[5])
  end
end
redis.call('DEL', KEYS[3])
return 1
