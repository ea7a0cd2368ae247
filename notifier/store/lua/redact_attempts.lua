-- Replaces attempts in the record of a delivery that is still kept.
-- KEYS: 1 attempts:<delivery id>
-- ARGV: the attempts as JSON, the oldest first; later ones stay
-- Returns: 1, or 0 when the record has expired
if redis.call('LLEN', KEYS[1]) < #ARGV then return 0 end
for i = 1, #ARGV do redis.call('LSET', KEYS[1], i - 1, ARGV[i]) end
return 1
