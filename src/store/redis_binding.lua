-- What the scripts that change an AOR share; it is put in front of them.

-- nil when somebody else wrote it, and no binding is in it.
local function decode(json)
  local is_json, binding = pcall(cjson.decode, json)
  if is_json and type(binding) == 'table' and type(binding.refreshedTime) == 'number' and
    type(binding.expiryTime) == 'number' and type(binding.contact) == 'string' and
    type(binding.protocol) == 'string' and type(binding.sbcAddress) == 'string' and
    type(binding.proxy) == 'string' then
    return binding
  end
end

