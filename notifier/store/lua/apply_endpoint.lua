#!lua
-- include: lib/queue.lua
-- include: lib/state.lua
-- include: lib/filing.lua
-- Takes over in its partition what an endpoint's record says: the limits that the claim keeps.
-- KEYS: 1 ready
-- ARGV: 1 JSON of {id, change (its serial), paused, max_concurrency, interval in ms between two sends (0 = no
--       limit), ordered, remembers, repaired, first_concurrency}
-- Returns: nothing
local asked = cjson.decode(ARGV[1])
local id, is_new = asked.id, not is_here(asked.id)
local before = read_state(id, 'paused', 'change')
if tonumber(before[2] or 0) > asked.change then return end
set_state(id, 'paused', asked.paused, 'max_concurrency', asked.max_concurrency, 'interval_ms', asked.interval,
  'ordered', asked.ordered, 'remembers', asked.remembers, 'change', asked.change)
-- Enabling an endpoint says that it is repaired: its record of failures starts again, and what was learned of its
-- pace is forgotten.
local is_repaired = asked.repaired or before[1] == '1' and asked.paused == 0
if is_repaired then
  set_state(id, 'failures', 0, 'resume_at', 0, 'open_until', 0, 'probes', 0, 'failing_since', '')
end
if is_repaired or is_new then set_state(id, 'concurrency', asked.first_concurrency, 'pace', '') end
redis.call('INCR', partition_generation_key)
file_endpoint(KEYS[1], id, 0)
