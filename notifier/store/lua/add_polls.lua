#!lua
-- include: lib/polls.lua
-- Has subjects polled soon, whether or not they are on the schedule.
-- KEYS: 1 polls:<call>:urgent
-- ARGV: 1 call, 2 ms, then the subjects
-- Returns: nothing
for i = 3, #ARGV do bring_forward(ARGV[1], ARGV[i], ARGV[2]) end
