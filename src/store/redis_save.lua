-- Stores what the binding rules decided for one AOR, if the AOR still is as they saw it.
-- LAYOUT ("hash" or "jambonz") and redis_binding.lua are put in front of this text. One round trip,
-- all or nothing: what may fail (a key of another type, no memory) comes before the first change that
-- matters.
--
-- KEYS  1 the AOR   2 registrations of its realm (sorted set, member "AOR id", score: end in ms)
--       3 AORs with connections of this node (set)   4 this node's lease   5 active-user (jambonz)
--       6 revision of the AOR   7 all nodes (set of "epoch node")
-- ARGV  1 revision that the rules saw, "" for no key at all   2 the next revision
--       3 now (ms)   4 end of the last binding (ms), 0: none is left
--       5 most registrations of the realm, 0: no limit   6 AOR   7 this node: "epoch node"
--       8 expiry of the newest binding (ms)
--       9 prefix of all nodes' lists of what they hold no more
--       10 number of ids to delete, then those
--       then the number of ids, of those that go or are set again, that others may hold, then those
--       then the number of bindings to set, then for each: id, JSON, end (ms), 1 on a connection
--       then the newest one's contact, protocol, sbcAddress, proxy ("hash"; none at all: work out)
-- Returns 1: stored. 0: the realm is full. Otherwise the AOR as it is now: an array of whether this
-- node's lease is there (1 or 0), the revision, and then what the key holds ("hash": HGETALL;
-- "jambonz": GET).
local key, realm, now = KEYS[1], KEYS[2], tonumber(ARGV[3])

local is_there = redis.call('EXISTS', key) == 1 -- others may have removed it without its revision
local revision = is_there and redis.call('GET', KEYS[6]) or ''
if revision ~= ARGV[1] then
  local found = LAYOUT == 'hash' and redis.call('HGETALL', key) or {redis.call('GET', key)}
  table.insert(found, 1, redis.call('GET', KEYS[4]) == string.match(ARGV[7], '^%x+') and 1 or 0)
  table.insert(found, 2, revision)
  return found
end

local next_arg = 10
local function take()
  local value = ARGV[next_arg]
  next_arg = next_arg + 1
  return value
end

local deletes, others, sets = {}, {}, {}
for i = 1, tonumber(take()) do
  deletes[i] = take()
end
for i = 1, tonumber(take()) do
  others[i] = take()
end
for i = 1, tonumber(take()) do
  sets[i] = {id = take(), json = take(), ends = take(), is_flow = take()}
end
if #deletes == 0 and #sets == 0 then
  redis.call(LAYOUT == 'hash' and 'HLEN' or 'STRLEN', key) -- an error if it is no key of ours
  return 1
end

local function member(id)
  return ARGV[6] .. ' ' .. id
end

-- Is the binding among those of the realm that have not ended?
local function counts(id)
  local ends = redis.call('ZSCORE', realm, member(id))
  return ends and tonumber(ends) >= now
end

local most = tonumber(ARGV[5])
if most > 0 then
  local more, fewer = 0, 0
  for _, set in ipairs(sets) do
    more = more + (counts(set.id) and 0 or 1)
  end
  for _, id in ipairs(deletes) do
    fewer = fewer + (counts(id) and 1 or 0)
  end
  if more > 0 and redis.call('ZCOUNT', realm, ARGV[3], '+inf') + more - fewer > most then
    return 0
  end
end

-- What another node holds, and nobody asks it about any more.
local own_node, notes = string.match(ARGV[7], ' (.+)$'), {}
for _, id in ipairs(others) do
  local json = LAYOUT == 'hash' and redis.call('HGET', key, 'binding:' .. id) or
    LAYOUT ~= 'hash' and redis.call('GET', key)
  local binding = decode(json or '')
  if binding and type(binding.node) == 'string' and binding.node ~= own_node then
    local upto = string.format('%.0f', binding.refreshedTime)
    notes[#notes + 1] = {ARGV[9] .. binding.node, id .. ' ' .. upto .. ' ' .. ARGV[6]}
  end
end

local has_summary = ARGV[next_arg] ~= nil
if LAYOUT == 'jambonz' then
  local last = sets[#sets]
  if last then
    redis.call('SET', key, last.json, 'PX', ARGV[4] - now)
    redis.call('ZADD', KEYS[5], ARGV[8], key)
  else
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[5], key)
  end
else
  if ARGV[4] == '0' then
    redis.call('DEL', key)
  else
    local values = {}
    for _, set in ipairs(sets) do
      values[#values + 1] = 'binding:' .. set.id
      values[#values + 1] = set.json
    end
    if has_summary then
      for _, name in ipairs({'contact', 'protocol', 'sbcAddress', 'proxy'}) do
        values[#values + 1] = name
        values[#values + 1] = take()
      end
      values[#values + 1] = 'expiryTime'
      values[#values + 1] = ARGV[8]
    end
    if #values > 0 then
      redis.call('HSET', key, unpack(values))
    end
    if #deletes > 0 then
      local names = {}
      for i, id in ipairs(deletes) do
        names[i] = 'binding:' .. id
      end
      redis.call('HDEL', key, unpack(names))
    end
    if not has_summary then
      local newest
      for _, name in ipairs(redis.call('HKEYS', key)) do
        if string.sub(name, 1, 8) == 'binding:' then
          local binding = decode(redis.call('HGET', key, name))
          if binding and (not newest or binding.refreshedTime > newest.refreshedTime) then
            newest = binding
          end
        end
      end
      if newest then
        redis.call('HSET', key, 'contact', newest.contact, 'protocol', newest.protocol,
          'sbcAddress', newest.sbcAddress, 'proxy', newest.proxy,
          'expiryTime', string.format('%.0f', newest.expiryTime))
      end
    end
    redis.call('PEXPIRE', key, ARGV[4] - now)
  end
end

-- Only now: a script that has written something is let go on where there is no memory left.
redis.call('ZREMRANGEBYSCORE', realm, '-inf', '(' .. ARGV[3])
if ARGV[4] == '0' then
  redis.call('DEL', KEYS[6])
else
  redis.call('SET', KEYS[6], ARGV[2], 'PX', ARGV[4] - now)
end
for _, id in ipairs(deletes) do
  redis.call('ZREM', realm, member(id))
end
for _, set in ipairs(sets) do
  redis.call('ZADD', realm, set.ends, member(set.id))
  if set.is_flow == '1' then
    redis.call('SADD', KEYS[3], ARGV[6])
    redis.call('SADD', KEYS[7], ARGV[7]) -- who dies before the first lease is looked for too
  end
end
for _, note in ipairs(notes) do
  redis.call('RPUSH', note[1], note[2])
  redis.call('PEXPIRE', note[1], 60000) -- the dead read nothing
end
return 1
