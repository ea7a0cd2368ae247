-- include: lib/looks.lua
-- Sets when subjects are looked at next. One that was taken off the schedule meanwhile stays off.
-- KEYS: none
-- ARGV: 1 call, then per subject: subject, ms ('' = stop looking), urgency
-- Returns: nothing
for i = 2, #ARGV, 3 do
  if ARGV[i + 1] == '' then
    end_look(ARGV[1], ARGV[i])
  elseif has_look(ARGV[1], ARGV[i]) then
    file_look(ARGV[1], ARGV[i], ARGV[i + 1], ARGV[i + 2])
  end
end
