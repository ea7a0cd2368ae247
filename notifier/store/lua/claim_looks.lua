-- Claims what is due to be asked about, under a lease, so that a worker that dies leaves it due again.
-- A request costs the same for one subject as for a hundred: once anything is due, it is filled up with what
-- is due soon. "Soon" ends well before the ends of leases that others took lately, which stand here as scores.
-- KEYS: 1 looks:<call>
-- ARGV: 1 now in ms, 2 how many at most, 3 lease end in ms, 4 what counts as soon, in ms
-- Returns: the subjects
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not first[2] or tonumber(first[2]) > tonumber(ARGV[1]) then return {} end
local subjects = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[4], 'LIMIT', 0, ARGV[2])
for _, subject in ipairs(subjects) do redis.call('ZADD', KEYS[1], ARGV[3], subject) end
return subjects
