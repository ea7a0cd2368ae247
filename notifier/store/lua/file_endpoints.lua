#!lua
-- include: lib/queue.lua
-- include: lib/state.lua
-- include: lib/filing.lua
-- Files endpoints in their partition again, by what is due there.
-- KEYS: 1 ready
-- ARGV: the ids
-- Returns: nothing
for _, id in ipairs(ARGV) do file_endpoint(KEYS[1], id, 0) end
