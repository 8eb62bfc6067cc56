-- What all scripts begin with. KEYS[1] is the bucket's base, ARGV[1] the verb, the rest its arguments. All keys of a bucket
-- begin with its base and so lie in one slot; layout.py says which they are.

local BASE = KEYS[1] .. ':'
local STATE = BASE .. 'state'
local LEASES = BASE .. 'leases'

-- While a slot of a cluster is on its way, its keys are on two nodes: what is not here may be there. A script that went on
-- would take the cache for empty, and begin it anew beside the one that arrives. A node says so of keys that nobody has.
local absent = redis.pcall('EXISTS', BASE .. '!', BASE .. '!!')
local failure = type(absent) == 'table' and absent.err or ''
if string.find(failure, 'non local key', 1, true) or string.find(failure, 'rehashing', 1, true) then -- as of Redis 8
    return redis.error_reply('MOVING the slot of this bucket is on its way to another node')
end

-- What stands under these keys is not for this version to read or write where a later one has changed the layout, and says
-- so here; or where it is another program's.
local format = redis.pcall('HGET', STATE, 'format')
if type(format) == 'table' then
    local is_foreign = string.find(format.err or '', 'WRONGTYPE', 1, true)
    return is_foreign and redis.error_reply('FOREIGN the keys under this prefix are no cache') or format
elseif format and format ~= '1' then
    return redis.error_reply('LATER the keys under this prefix were written by a later version')
end

local at = 1
local function take()
    at = at + 1
    return ARGV[at]
end

local function number(value)
    return tonumber(value) or 0
end

local function doc(address)
    return BASE .. 'd:' .. address
end

local function queue(tier)
    return BASE .. 'q:' .. tier
end

local function vector_of(address)
    return BASE .. 'i:' .. address
end

local function group(scope, embedder)
    return BASE .. 'c:' .. scope .. ':' .. embedder
end

local function vector_set(scope, embedder, field)
    return BASE .. 'v:' .. scope .. ':' .. embedder .. ':' .. field
end

local function count(field, by)
    return redis.call('HINCRBY', STATE, field, by)
end

local function versioned(...)
    local state = redis.call('HMGET', STATE, 'id', 'edits')
    return { state[1] or '', state[2] or '0', ... }
end

-- Fields of a hash; of a key of another kind, which somebody else has put there, none.
local function fields_of(key, ...)
    local found = redis.pcall('HMGET', key, ...)
    if found.err then
        found = {}
        for place = 1, select('#', ...) do
            found[place] = false
        end
    end
    return found
end

-- Was a later lease of this name given?
local function is_late(name, token)
    if name == '' then
        return false
    end
    local current = redis.call('HGET', LEASES, 't' .. name)
    if current then
        return number(current) > number(token)
    end
    return number(redis.call('HGET', STATE, 'leases-forgotten')) > number(token)
end

local verbs = {}
