#!lua
-- include: lib/time.lua
-- include: lib/wakeup.lua
-- Says whether a partition has something to do and no wakeup on its way.
-- KEYS: 1 ready
-- ARGV: none
-- Returns: 1 or 0
if redis.call('ZCOUNT', KEYS[1], '-inf', now_ms()) == 0 then return 0 end
return needs_wakeup(partition_wakeup_key) and 1 or 0
