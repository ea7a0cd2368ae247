#!lua
-- include: lib/time.lua
-- include: lib/recovery.lua
-- Ends a recovery by hand; what it has made due stays due.
-- KEYS: 1 recovery:<id>
-- ARGV: 1 id
-- Returns: its status before, '' when there is none
local status = redis.call('HGET', KEYS[1], 'status') or ''
if status == 'running' then end_recovery(ARGV[1], 'canceled', 'canceled by hand', now_ms()) end
return status
