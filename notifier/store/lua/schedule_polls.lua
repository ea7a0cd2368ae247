#!lua
-- include: lib/polls.lua
-- Sets when subjects are polled next. One that was taken off the schedule meanwhile stays off.
-- KEYS: 1 polls:<call>:urgent
-- ARGV: 1 call, then per subject: subject, ms ('' = stop polling), urgency
-- Returns: nothing
for i = 2, #ARGV, 3 do
  if ARGV[i + 1] == '' then
    end_poll(ARGV[1], ARGV[i])
  elseif has_poll(ARGV[1], ARGV[i]) then
    file_poll(ARGV[1], ARGV[i], ARGV[i + 1], ARGV[i + 2])
  end
end
