-- Changes of one AOR that need no decision: removing what went away, writing again what Redis may
-- have lost. Each says itself which state of a binding it is about, so they may come late, twice or
-- after others have changed the AOR, and do no harm.
-- LAYOUT ("hash" or "jambonz") and redis_binding.lua are put in front of this text.
--
-- KEYS  1 the AOR   2 registrations of its realm   3 AORs with connections of the node in ARGV 5 and
--       6   4 that node's lease   5 active-user (jambonz)   6 revision of the AOR
--       7 all nodes (set of "epoch node")   8 tombstones: what was removed of this AOR (hash)
-- ARGV  1 the next revision   2 now (ms)   3 grace (ms)   4 AOR   5 node   6 its epoch
--       7 transports whose bindings go with their connection: " ws wss "
--       8 prefix of all nodes' lists of what they hold no more
--       9.. changes: "id", ID, UPTO: binding ID goes, unless it was refreshed after UPTO (ms)
--           "undo", ID, REFRESHED: binding ID goes, if that node wrote it, refreshed just then
--           "all", UPTO: every binding goes that was not refreshed after UPTO
--           "show": the answer shall name what goes from here on
--           "tell", ID, UPTO: the other nodes hear of such a removal, and who is not there now cannot
--           write it again later; ID "*" for all
--           "flow", FLOW: the bindings of that node's connection FLOW go
--           "dead", NOW: all bindings that go with that node's connections do, if its lease is not
--           there
--           "set", ID, JSON, REFRESHED: is written, unless a later refresh is there, or its removal
--           was told: then that node hears of it
-- Returns the number of bindings that went away; -1: nothing was done, as that node is not dead. With
-- "show" an array: that number, and then what went ("hash": names and values; "jambonz": the value).
local key, realm = KEYS[1], KEYS[2]
local now, grace = tonumber(ARGV[2]), tonumber(ARGV[3])
local node, epoch, transports = ARGV[5], ARGV[6], ARGV[7]

local fresh, gone = {}, {}
local bindings, text = {}, {} -- by id: decoded, and as stored

if LAYOUT == 'hash' then
  local found = redis.call('HGETALL', key)
  for i = 1, #found, 2 do
    local id = string.match(found[i], '^binding:(.+)$')
    if id then
      bindings[id], text[id] = decode(found[i + 1]), found[i + 1]
      gone[id] = bindings[id] == nil or nil
    end
  end
else
  local found = redis.call('GET', key)
  local binding = found and decode(found)
  if binding and type(binding.id) == 'string' then
    bindings[binding.id], text[binding.id] = binding, found
  end
end

local shown
local function remove(id)
  if shown and text[id] then
    if LAYOUT == 'hash' then
      shown[#shown + 1] = 'binding:' .. id
    end
    shown[#shown + 1] = text[id]
  end
  bindings[id], text[id] = nil, nil
  fresh[id] = nil
  gone[id] = true
end
local function remove_all(is_meant)
  for id, binding in pairs(bindings) do
    if is_meant(binding) then
      remove(id)
    end
  end
end
local function is_of_node(binding)
  return binding.node == node and binding.epoch == epoch
end
local function goes_with_node(binding)
  return is_of_node(binding) and binding.flow ~= cjson.null and
    string.find(transports, ' ' .. binding.protocol .. ' ', 1, true)
end

-- Those who are away for longer may write again what was removed meanwhile.
local REMEMBERED_MS = 600000
local REMEMBERED = 1024 -- removals of one AOR; those above it are not remembered

local function tell(other, id, upto)
  redis.call('RPUSH', ARGV[8] .. other, id .. ' ' .. upto .. ' ' .. ARGV[4])
  redis.call('PEXPIRE', ARGV[8] .. other, 60000)
end
-- Until when (ms, text) binding ID was removed; nil when it was not.
local function removed_upto(id)
  local found = redis.call('HMGET', KEYS[8], id, '*')
  local one, all = found[1] or nil, found[2] or nil
  if one and all then
    return tonumber(one) > tonumber(all) and one or all
  end
  return one or all
end

local at = 9
local function take()
  local value = ARGV[at]
  at = at + 1
  return value
end
while ARGV[at] do
  local what = take()
  if what == 'id' then
    local id, upto = take(), tonumber(take())
    if bindings[id] and bindings[id].refreshedTime <= upto then
      remove(id)
    end
  elseif what == 'undo' then
    local id, refreshed = take(), tonumber(take())
    if bindings[id] and is_of_node(bindings[id]) and bindings[id].refreshedTime == refreshed then
      remove(id)
    end
  elseif what == 'all' then
    local upto = tonumber(take())
    remove_all(function(binding) return binding.refreshedTime <= upto end)
  elseif what == 'show' then
    shown = {}
  elseif what == 'tell' then
    local id, upto = take(), take()
    local before = redis.call('HGET', KEYS[8], id) -- what is told once more may be older
    if before and tonumber(before) < tonumber(upto) or
      not before and redis.call('HLEN', KEYS[8]) < REMEMBERED then
      redis.call('HSET', KEYS[8], id, upto)
    end
    redis.call('PEXPIRE', KEYS[8], REMEMBERED_MS)
    for _, member in ipairs(redis.call('SMEMBERS', KEYS[7])) do
      local other = string.match(member, '^%x+ (.+)$')
      if other and other ~= node then
        tell(other, id, upto)
      end
    end
  elseif what == 'flow' then
    local flow = take()
    remove_all(function(binding) return is_of_node(binding) and binding.flow == flow end)
  elseif what == 'dead' then
    take()
    if redis.call('GET', KEYS[4]) == epoch then
      return -1
    end
    remove_all(goes_with_node)
  else
    local id, json, refreshed = take(), take(), tonumber(take())
    local upto = not bindings[id] and removed_upto(id)
    redis.call('SADD', KEYS[7], epoch .. ' ' .. node) -- who writes is to hear of removals
    if upto and tonumber(upto) >= refreshed then
      tell(node, id, upto)
    elseif not bindings[id] or bindings[id].refreshedTime <= refreshed then
      if LAYOUT == 'jambonz' then -- one binding an AOR, the newest
        remove_all(function(binding) return binding.refreshedTime <= refreshed end)
      end
      if LAYOUT == 'hash' or next(bindings) == nil then
        bindings[id], text[id], fresh[id] = decode(json), json, true
        gone[id] = nil
      end
    end
  end
end
remove_all(function(binding) return binding.expiryTime + grace <= now end)

local newest, last, has_flow = nil, 0, false
for id, binding in pairs(bindings) do
  if not newest or binding.refreshedTime > newest.refreshedTime then
    newest = binding
  end
  last = math.max(last, binding.expiryTime + grace)
  has_flow = has_flow or goes_with_node(binding)
end

if LAYOUT == 'hash' then
  if newest then
    local values = {'contact', newest.contact, 'protocol', newest.protocol,
      'sbcAddress', newest.sbcAddress, 'proxy', newest.proxy,
      'expiryTime', string.format('%.0f', newest.expiryTime)}
    for id in pairs(fresh) do
      values[#values + 1] = 'binding:' .. id
      values[#values + 1] = text[id]
    end
    redis.call('HSET', key, unpack(values))
    for id in pairs(gone) do
      redis.call('HDEL', key, 'binding:' .. id)
    end
    redis.call('PEXPIRE', key, string.format('%.0f', last - now))
  elseif next(gone) then
    redis.call('DEL', key)
  end
else
  if newest then
    redis.call('SET', key, text[newest.id], 'PX', string.format('%.0f', last - now))
    redis.call('ZADD', KEYS[5], string.format('%.0f', newest.expiryTime), key)
  elseif next(gone) then
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[5], key)
  end
end

if newest and (next(gone) or next(fresh)) then
  redis.call('SET', KEYS[6], ARGV[1], 'PX', string.format('%.0f', last - now))
elseif next(gone) then
  redis.call('DEL', KEYS[6])
end

local count = 0
for id in pairs(gone) do
  redis.call('ZREM', realm, ARGV[4] .. ' ' .. id)
  count = count + 1
end
for id in pairs(fresh) do
  redis.call('ZADD', realm, string.format('%.0f', bindings[id].expiryTime + grace),
    ARGV[4] .. ' ' .. id)
end
if has_flow then
  redis.call('SADD', KEYS[3], ARGV[4])
  redis.call('SADD', KEYS[7], epoch .. ' ' .. node) -- as in redis_save.lua
else
  redis.call('SREM', KEYS[3], ARGV[4])
end
if shown then
  table.insert(shown, 1, count)
  return shown
end
return count
