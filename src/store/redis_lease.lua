-- Renews this node's lease, and tells what the nodes have to tell each other.
--
-- KEYS  1 this node's lease   2 all nodes (set of "epoch node")   3 version of the bans
--       4 active-user, or "" where there is none   5 what this node holds no more (list)
-- ARGV  1 epoch   2 life of the lease (ms)   3 "epoch node"   4 prefix of all lease keys   5 now (ms)
--       6 how many of that list, from its beginning, have been heeded   7 the last of them
-- Returns an array: what the lease held before, the version of the bans, an array of what was on that
-- list, and then "epoch node" of each node whose lease is not there.
local AT_ONCE = 1000
local held = redis.call('GET', KEYS[1]) or ''
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SADD', KEYS[2], ARGV[3])
if KEYS[4] ~= '' then
  redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[5])
end
-- What was read stays until the next renewal says that it has arrived.
local heeded = tonumber(ARGV[6])
if heeded > 0 and redis.call('LINDEX', KEYS[5], heeded - 1) == ARGV[7] then
  redis.call('LTRIM', KEYS[5], heeded, -1)
end
local gone = redis.call('LRANGE', KEYS[5], 0, AT_ONCE - 1)
local answer = {held, redis.call('GET', KEYS[3]) or '', gone}
for _, member in ipairs(redis.call('SMEMBERS', KEYS[2])) do
  local epoch, node = string.match(member, '^(%x+) (.+)$')
  if epoch and redis.call('GET', ARGV[4] .. node) ~= epoch then
    answer[#answer + 1] = member
  end
end
return answer
