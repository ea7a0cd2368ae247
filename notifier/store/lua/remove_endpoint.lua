#!lua
-- Drops the queue of an endpoint that was deleted; what it was owed stays on record as discarded until it expires.
-- KEYS: 1 state:<id>, 2 ready, 3 due:<id>, 4 leased:<id>, 5 lines:<id>, 6 history:<id>, 7 memories:<id>,
--       8 memory-ends:<id>
-- ARGV: 1 id, 2 TTL of the record of what it was owed in s
-- Returns: nothing
for _, space in ipairs(redis.call('HVALS', KEYS[5])) do redis.call('DEL', line_key(ARGV[1], space)) end
redis.call('DEL', KEYS[1], KEYS[3], KEYS[4], KEYS[5], KEYS[7], KEYS[8])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('INCR', partition_generation_key)
redis.call('EXPIRE', KEYS[6], ARGV[2])
