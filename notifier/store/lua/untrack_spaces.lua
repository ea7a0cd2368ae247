-- include: lib/looks.lua
-- Ends the looks at Spaces whose watches are all paused.
-- KEYS: none
-- ARGV: 1 when their content is erased in ms, then the Space ids
-- Returns: nothing
for i = 2, #ARGV do untrack(ARGV[i], ARGV[1]) end
