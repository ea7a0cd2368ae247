-- include: lib/queue.lua
-- include: lib/view.lua
-- include: lib/filing.lua
-- Files endpoints in their partitions again, after the number of partitions was changed.
-- KEYS: none
-- ARGV: partitions so far, partitions now, then per endpoint: id, partition
-- Returns: how many endpoints were filed
for partition = 0, tonumber(ARGV[1]) - 1 do redis.call('DEL', 'sn:ready:' .. partition) end
for i = 3, #ARGV, 2 do file_endpoint('sn:ready:' .. ARGV[i + 1], ARGV[i], 0) end
redis.call('SET', 'sn:partitions', ARGV[2])
return (#ARGV - 2) / 2
