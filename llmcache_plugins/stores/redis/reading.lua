-- Verbs that read. They are a script of their own because each call builds all functions of its script anew, and a lookup
-- shall not pay for those that write.

local MANY = 1000 -- members of one scope and embedder
local MOST = 10 -- they are much of the index when they are one in so many of all entries, or more

-- What lookups read of an entry, in the order that core.py wants; without its vector.
local READ = { 'reads', 'last', 'before', 'tier', 'placed', 'stale', 'body', 'embedder', 'target', 'alias', 'order' }

local function read(address)
    return fields_of(doc(address), unpack(READ))
end

local function by_normalised(scope, normal, limit)
    local rows = {}
    for _, address in ipairs(redis.call('ZREVRANGE', BASE .. 'n:' .. scope .. ':' .. normal, 0, limit - 1)) do
        rows[#rows + 1] = address
        rows[#rows + 1] = read(address)
    end
    return rows
end

-- scope, normalised key, limit
function verbs.normalised()
    return by_normalised(take(), take(), number(take()))
end

-- How many, then address, body and embedder ('' for none) of the newest without their vector.
local function count_scope(scope, embedder, limit)
    local candidates, pending = 0, {}
    for _, other in ipairs(redis.call('SMEMBERS', BASE .. 'g:' .. scope)) do
        if other ~= '-' then
            candidates = candidates + redis.call('ZCARD', group(scope, other))
            if other ~= embedder and limit > 0 then
                local newest = redis.call('ZREVRANGE', group(scope, other), 0, limit - 1, 'WITHSCORES')
                for place = 1, #newest, 2 do
                    pending[#pending + 1] = { number(newest[place + 1]), newest[place] }
                end
            end
        end
    end
    table.sort(pending, function(a, b) return a[1] > b[1] end)
    local reply = { candidates }
    for place = 1, math.min(limit, #pending) do
        reply[#reply + 1] = pending[place][2]
        local found = fields_of(doc(pending[place][2]), 'body', 'embedder')
        reply[#reply + 1] = found[1] or ''
        reply[#reply + 1] = found[2] or ''
    end
    return reply
end

-- scope, group of the embedder, limit
function verbs.census()
    return count_scope(take(), take(), number(take()))
end

-- tier, limit
function verbs.lowest()
    local tier, limit = take(), number(take())
    local rows = {}
    for _, found in ipairs(redis.call('ZRANGE', queue(tier), 0, limit - 1)) do
        local address = string.sub(found, 17)
        rows[#rows + 1] = address
        rows[#rows + 1] = read(address)
    end
    return rows
end

-- address, scope, group of the embedder, limit of the census, then normalised key and limit of each: what one lookup may
-- ask, in one go. When there is something under the address, only that (and the target of an alias).
function verbs.look()
    local address, scope, embedder, limit = take(), take(), take(), number(take())
    local sequence = redis.call('HGET', STATE, 'sequence') or '0'
    local row = read(address)
    if row[7] then
        return { versioned(sequence), row }
    elseif row[9] then
        return { versioned(sequence), row, read(row[9]) }
    end
    local found = {}
    while at < #ARGV do
        local normal, most = take(), number(take())
        found[#found + 1] = by_normalised(scope, normal, most)
    end
    return { versioned(sequence), row, false, count_scope(scope, embedder, limit), found }
end

-- scope, group, field of the vector, after which order, how many: address, order, expiry and vector of each
function verbs.group()
    local scope, embedder, field, after, limit = take(), take(), take(), take(), take()
    local found = redis.call('ZRANGEBYSCORE', group(scope, embedder), '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
    local rows = {}
    for place = 1, #found, 2 do
        local entry = fields_of(doc(found[place]), 'expires')[1]
        local vector = fields_of(vector_of(found[place]), field)[1]
        rows[#rows + 1] = { found[place], found[place + 1], entry or '', vector or '' }
    end
    return rows
end

-- scope, group, field of the vector, the vector, how many, now: address, row and vector of the nearest
function verbs.near()
    local scope, embedder, field, vector, limit, now = take(), take(), take(), take(), take(), take()
    local rows = {}
    local key = vector_set(scope, embedder, field)
    if redis.call('EXISTS', key) == 1 then
        local found = redis.call('VSIM', key, 'FP32', vector, 'COUNT', limit, 'FILTER', '.x > ' .. now)
        for _, address in ipairs(found) do
            rows[#rows + 1] = { address, read(address), fields_of(vector_of(address), field)[1] or '' }
        end
    end
    return rows
end

-- names of indexes: of each how many it has, -1 when it is not there, and whether it is still being filled
function verbs.indexes()
    local found = {}
    while at < #ARGV do
        local facts = redis.pcall('FT.INFO', take())
        local many, filling = facts.err and -1 or 0, 0
        for place = 1, facts.err and 0 or #facts - 1, 2 do
            local name = facts[place]
            name = type(name) == 'table' and name.ok or name -- a status of the server, or a text
            if name == 'indexing' and number(facts[place + 1]) ~= 0 then
                filling = 1
            elseif name == 'num_docs' then
                many = number(facts[place + 1])
            end
        end
        found[#found + 1] = { many, filling }
    end
    return found
end

-- name of the index, scope, group, field of the vector, the vector, how many: how many entries there are, and address, row
-- and distance of the nearest
function verbs.search()
    local index, scope, embedder, field, vector, limit = take(), take(), take(), take(), take(), take()
    -- Left alone, the server compares with every member of the filter one by one, also where that is nearly all of them.
    local members = redis.call('ZCARD', group(scope, embedder))
    local all = redis.call('ZCARD', BASE .. 'all')
    local is_most = members > MANY and members * MOST >= all
    local policy = is_most and ' HYBRID_POLICY BATCHES' or ''
    local query = '(@within:{' .. scope .. embedder .. '})=>[KNN ' .. limit .. ' @' .. field .. ' $vector' .. policy .. ' AS distance]'
    local found = redis.call('FT.SEARCH', index, query, 'PARAMS', 2, 'vector', vector, 'SORTBY', 'distance', 'RETURN', 1,
        'distance', 'LIMIT', 0, limit, 'DIALECT', 2)
    local rows = {}
    for place = 2, #found, 2 do
        local address = string.sub(found[place], string.len(vector_of('')) + 1)
        rows[#rows + 1] = { address, read(address), found[place + 1][2] }
    end
    return { all, rows }
end

-- field of the vector, then addresses: group, order, expiry and vector of each
function verbs.fetch()
    local field = take()
    local rows = {}
    while at < #ARGV do
        local address = take()
        local row = fields_of(doc(address), 'group', 'order', 'expires')
        row[4] = fields_of(vector_of(address), field)[1]
        rows[#rows + 1] = row
    end
    return rows
end

-- group of the embedder, then addresses: the vector of each that is of this embedder, '' for the others
function verbs.vectors_of()
    local embedder = take()
    local found = {}
    while at < #ARGV do
        local address = take()
        local row = fields_of(doc(address), 'group', 'vfield')
        local is_there = row[1] == embedder and row[2]
        found[#found + 1] = is_there and fields_of(vector_of(address), row[2])[1] or ''
    end
    return found
end

-- addresses
function verbs.load()
    local rows = {}
    while at < #ARGV do
        local address = take()
        rows[#rows + 1] = address
        rows[#rows + 1] = read(address)
    end
    return rows
end

return verbs[ARGV[1]]()
