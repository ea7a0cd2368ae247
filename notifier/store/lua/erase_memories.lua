#!lua
-- include: lib/time.lua
-- include: lib/memory.lua
-- Erases what the kind of an endpoint has remembered for long enough, up to a hundred memories.
-- KEYS: 1 memories:<endpoint>, 2 memory-ends:<endpoint>
-- ARGV: none
-- Returns: how many there were
return erase_old(KEYS[1], KEYS[2], now_ms())
