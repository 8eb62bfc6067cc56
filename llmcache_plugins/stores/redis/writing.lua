-- Verbs that write: each is atomic.

local SHARES = BASE .. 'shares'
local ALL = BASE .. 'all'
local EXPIRES = BASE .. 'expires'
local BY_KEY = BASE .. 'keys'
local TAGS = BASE .. 'tags'
local ALIASES = BASE .. 'aliases'
local LOG = BASE .. 'log'
local COUNTS = BASE .. 'counts'
local OPEN = BASE .. 'open'
local NOTES = BASE .. 'notes'
local CHANGES = BASE .. 'changes'

local CHANGES_KEPT = 8192
local LOG_KEPT = 10000
local RECOUNTED_AT_ONCE = 20000
local RECOUNTED_EVERY = 1000 -- writes
local EVICTED_AT_ONCE = 1000 -- nobody else is served meanwhile; what is too much after a limit was lowered leaves later

local function seat(order, address)
    return string.format('%016d', number(order)) .. address -- of equal priorities the older comes first
end

-- Are vectors kept in vector sets? One process says so, and all of them do it from then on.
local function has_sets()
    return redis.call('HGET', STATE, 'sets') == '1'
end

-- Vectors are kept in one way in one database; the first says in which.
local function is_kept_so(kind)
    local kept = redis.call('HGET', STATE, 'vectors')
    return kept == kind or not kept
end

-- The numbers in half precision (IEEE 754 binary16) as single precision, which vector sets want.
local function as_single(halves)
    local parts = {}
    for place = 1, #halves - 1, 2 do
        local low, high = string.byte(halves, place, place + 1)
        local exponent = math.floor(high / 4) % 32
        local fraction = (high % 4) * 256 + low
        local value = exponent == 0 and fraction * 2 ^ -24 or (1024 + fraction) * 2 ^ (exponent - 25)
        parts[#parts + 1] = struct.pack('<f', high > 127 and -value or value)
    end
    return table.concat(parts)
end

local function join_set(scope, embedder, field, address, vector, expiry)
    local attributes = '{"x":' .. ((expiry == '' or expiry == 'inf') and '9e99' or expiry) .. '}'
    local single = string.sub(field, 1, 1) == 'h' and as_single(vector) or vector
    redis.call('VADD', vector_set(scope, embedder, field), 'FP32', single, address, 'SETATTR', attributes)
end

-- A vector has a key of its own: an index of the server is about these keys alone, so that counting a read costs it nothing.
-- Only candidates are in it.
local function keep_vector(scope, embedder, field, address, vector, expiry)
    local within = string.len(embedder) > 1 and scope .. embedder or ''
    redis.call('HSET', vector_of(address), 'within', within, field, vector)
    if within ~= '' and has_sets() then
        join_set(scope, embedder, field, address, vector, expiry)
    end
end

-- A full server refuses a script at its first write that needs memory; after one that needs none it lets everything pass.
local function need_memory()
    count('writes', 1)
end

-- Which database this is: one that was lost and began anew has another name.
local function identity()
    local id = redis.call('HGET', STATE, 'id')
    if not id then
        local time = redis.call('TIME')
        id = time[1] .. '.' .. time[2]
        redis.call('HSET', STATE, 'id', id)
    end
    return id
end

-- Numbered without a gap: who follows them knows when some were trimmed before they were read.
local function tell(what, address, edits)
    redis.call('XADD', CHANGES, 'MAXLEN', '~', CHANGES_KEPT, '*', 'n', count('changes', 1), 'a', address,
        'e', edits, 'i', identity(), 'w', what)
end

-- Something that others may have a copy of is another one now, or gone.
local function edited(what, address)
    tell(what, address, count('edits', 1))
end

-- Something was added: copies are as good as before.
local function added(address)
    tell('+', address, redis.call('HGET', STATE, 'edits') or '0')
end

local function share(tier, entries, bytes)
    if redis.call('HINCRBY', SHARES, 'n' .. tier, entries) <= 0 then
        redis.call('HDEL', SHARES, 'n' .. tier, 'b' .. tier)
    elseif bytes ~= 0 then
        redis.call('HINCRBY', SHARES, 'b' .. tier, bytes)
    end
end

local function leave_group(scope, embedder, address)
    local key = group(scope, embedder)
    if redis.call('ZREM', key, address) == 1 and redis.call('EXISTS', key) == 0 then
        redis.call('SREM', BASE .. 'g:' .. scope, embedder)
    end
end

local function join_group(scope, embedder, address, order)
    redis.call('ZADD', group(scope, embedder), order, address)
    redis.call('SADD', BASE .. 'g:' .. scope, embedder)
end

local function drop_alias(address)
    local found = fields_of(doc(address), 'target', 'size')
    local was_listed = redis.call('ZREM', ALIASES, address) == 1
    if not found[1] then
        if was_listed then
            redis.call('UNLINK', doc(address))
        end
        return false
    end
    redis.call('SREM', BASE .. 'to:' .. found[1], address)
    count('bytes', 0 - number(found[2]))
    redis.call('UNLINK', doc(address))
    edited('-', address)
    return true
end

local function tags_in(packed)
    local is_read, tags = pcall(cmsgpack.unpack, packed or '')
    return is_read and type(tags) == 'table' and tags or {}
end

-- Take an entry out of everything that leads to it. With `keeps_aliases` another one is to take its place.
local function forget(address, keeps_aliases)
    local found = fields_of(doc(address), 'body', 'order', 'tier', 'size', 'scope', 'group', 'normal', 'key', 'tags',
        'vfield')
    if not found[1] then
        return false
    end
    local order, tier, size, scope = found[2] or '0', found[3] or '', number(found[4]), found[5] or ''
    redis.call('ZREM', ALL, address)
    redis.call('ZREM', EXPIRES, address)
    redis.call('ZREM', queue(tier), seat(order, address))
    leave_group(scope, found[6] or '', address)
    if found[10] then
        redis.call('UNLINK', vector_of(address))
        if has_sets() then
            redis.call('VREM', vector_set(scope, found[6] or '', found[10]), address)
        end
    end
    redis.call('ZREM', BASE .. 'n:' .. scope .. ':' .. (found[7] or ''), address)
    redis.call('ZREM', BY_KEY, (found[8] or '') .. '\0' .. address)
    for _, tag in ipairs(tags_in(found[9])) do
        if redis.call('SREM', BASE .. 't:' .. tag, address) == 1 and redis.call('EXISTS', BASE .. 't:' .. tag) == 0 then
            redis.call('ZREM', TAGS, tag)
        end
    end
    count('bytes', 0 - size)
    share(tier, -1, 0 - size)
    redis.call('UNLINK', doc(address))
    if not keeps_aliases then
        for _, alias in ipairs(redis.call('SMEMBERS', BASE .. 'to:' .. address)) do
            drop_alias(alias)
        end
    end
    edited(keeps_aliases and '=' or '-', address)
    return true
end

-- Who leaves first in a tier, other than `kept`: priority, seat.
local function first_in(tier, kept)
    local found = redis.call('ZRANGE', queue(tier), 0, 1, 'WITHSCORES')
    for place = 1, #found, 2 do
        if found[place] ~= kept then
            return number(found[place + 1]), found[place]
        end
    end
end

local function first_of(tiers, kept)
    local best, best_seat
    for _, tier in ipairs(tiers) do
        local priority, found = first_in(tier, kept)
        if found and (not best or priority < best or (priority == best and found < best_seat)) then
            best, best_seat = priority, found
        end
    end
    return best_seat
end

local function is_over(limits)
    local entries, aliases = redis.call('ZCARD', ALL), redis.call('ZCARD', ALIASES)
    local bytes = number(redis.call('HGET', STATE, 'bytes'))
    return entries > limits.entries or bytes > limits.bytes, aliases, bytes
end

-- Count anew what the totals of bytes and of the tiers should be: somebody else took entries away, or wrote over a total.
local function recount()
    if redis.call('ZCARD', ALL) > RECOUNTED_AT_ONCE then
        return
    end
    local bytes, tiers = 0, {}
    for _, address in ipairs(redis.call('ZRANGE', ALL, 0, -1)) do
        local found = fields_of(doc(address), 'size', 'tier')
        local tier = found[2] or ''
        tiers[tier] = tiers[tier] or { 0, 0 }
        tiers[tier][1] = tiers[tier][1] + 1
        tiers[tier][2] = tiers[tier][2] + number(found[1])
        bytes = bytes + number(found[1])
    end
    for _, address in ipairs(redis.call('ZRANGE', ALIASES, 0, -1)) do
        bytes = bytes + number(fields_of(doc(address), 'size')[1])
    end
    redis.call('HSET', STATE, 'bytes', bytes)
    redis.call('UNLINK', SHARES)
    for tier, held in pairs(tiers) do
        redis.call('HSET', SHARES, 'n' .. tier, held[1], 'b' .. tier, held[2])
    end
end

local is_miscounted = false -- to be counted anew before the totals are used, or at the end

-- Of an entry whose document is gone or unreadable: take it out of the lists that are known without it.
local function forget_ghost(address)
    local order = redis.call('ZSCORE', ALL, address)
    if not order then
        return false
    end
    redis.call('ZREM', ALL, address)
    redis.call('ZREM', EXPIRES, address)
    for _, field in ipairs(redis.call('HKEYS', SHARES)) do
        redis.call('ZREM', queue(string.sub(field, 2)), seat(order, address))
    end
    redis.call('UNLINK', doc(address), vector_of(address))
    is_miscounted = true
    edited('-', address)
    return true
end

-- Of entries that are in no queue, because the server took the queue: the oldest, other than `kept`.
local function first_unseated(kept)
    local found = redis.call('ZRANGE', ALL, 0, 1, 'WITHSCORES')
    for place = 1, #found, 2 do
        local its_seat = seat(found[place + 1], found[place])
        if its_seat ~= kept then
            return its_seat
        end
    end
end

-- Entries that are in no queue would stay for ever, and go on with their old priorities here. Some at a time.
local function reseat(limit)
    local seated = 0
    for _, field in ipairs(redis.call('HKEYS', SHARES)) do
        if string.sub(field, 1, 1) == 'n' then
            seated = seated + redis.call('ZCARD', queue(string.sub(field, 2)))
        end
    end
    if seated >= redis.call('ZCARD', ALL) then
        return
    end
    is_miscounted = true -- the server may have taken the shares, which say what queues there are
    local after = redis.call('HGET', STATE, 'reseated') or '0'
    local found = redis.call('ZRANGEBYSCORE', ALL, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
    for place = 1, #found, 2 do
        local entry = fields_of(doc(found[place]), 'body', 'tier', 'priority', 'expires')
        if entry[1] then
            redis.call('ZADD', queue(entry[2] or ''), entry[3] or '0', seat(found[place + 1], found[place]))
            if entry[4] and entry[4] ~= '' then
                redis.call('ZADD', EXPIRES, entry[4], found[place])
            end
        else
            forget_ghost(found[place])
        end
    end
    redis.call('HSET', STATE, 'reseated', found[#found] or '0')
end

local function drop_oldest_alias()
    local oldest = redis.call('ZRANGE', ALIASES, 0, 0)[1]
    if not oldest then
        return false
    end
    if not drop_alias(oldest) then
        redis.call('ZREM', ALIASES, oldest)
    end
    return true
end

-- Evict until the limits hold; how many entries that were. `kept` is the seat of who stays.
local function make_room(limits, kept, added_bytes)
    local evicted = 0
    local state = redis.call('HMGET', STATE, 'bytes', 'writes', 'recounted')
    -- The limit held before this write. Another process may have a wider one: not again for a while.
    local is_long_ago = not state[3] or number(state[2]) - number(state[3]) > RECOUNTED_EVERY
    if is_long_ago and number(state[1]) > limits.bytes + added_bytes then
        recount()
        redis.call('HSET', STATE, 'recounted', state[2] or '0')
    end
    while evicted < EVICTED_AT_ONCE and is_over(limits) do
        local found = first_of(limits.last == '' and { '' } or { '', limits.last }, kept)
        if not found then
            local tiers = {}
            for _, field in ipairs(redis.call('HKEYS', SHARES)) do
                if string.sub(field, 1, 1) == 'n' then
                    tiers[#tiers + 1] = string.sub(field, 2)
                end
            end
            found = first_of(tiers, kept) or first_unseated(kept)
        end
        if found then
            local address = string.sub(found, 17)
            if is_miscounted and fields_of(doc(address), 'body')[1] then
                recount() -- perhaps nobody else has to leave
                is_miscounted = false
            elseif forget(address) then
                evicted = evicted + 1
            elseif not forget_ghost(address) then
                for _, field in ipairs(redis.call('HKEYS', SHARES)) do
                    redis.call('ZREM', queue(string.sub(field, 2)), found)
                end
            end
        elseif not drop_oldest_alias() then
            break
        end
    end
    return evicted
end

local function take_limits()
    return { entries = number(take()), bytes = number(take()), last = take() }
end

local function log2_of_sum(a, b)
    local high, low = math.max(a, b), math.min(a, b)
    return high + math.log(1 + 2 ^ math.max(low - high, -60)) / math.log(2)
end

-- Served reads that were collected: how many rules (tier, kind, half-life; tier '*' for all others), each of them;
-- how many touches (address, reads, instant), each of them.
local function take_touches()
    local rules = {}
    for _ = 1, number(take()) do
        local tier = take()
        rules[tier] = { kind = take(), half_life = number(take()) }
    end
    for _ = 1, number(take()) do
        local address, reads, now = take(), take(), take()
        local found = fields_of(doc(address), 'body', 'tier', 'priority', 'weight', 'order')
        if found[1] then
            redis.call('HINCRBY', doc(address), 'reads', reads)
            redis.call('HSET', doc(address), 'last', now)
            local tier, priority = found[2] or '', number(found[3])
            local rule = rules[tier] or rules['*']
            local raised
            if rule.kind == 'order' then
                raised = count('order', 1)
            elseif rule.kind == 'decay' then
                local weight = number(found[4])
                local recent = number(now) / rule.half_life + math.log(math.max(number(reads), 1)) / math.log(2)
                raised = log2_of_sum(priority - weight, recent) + weight
            end
            if raised and raised > priority then
                redis.call('HSET', doc(address), 'priority', string.format('%.17g', raised))
                redis.call('ZADD', queue(tier), string.format('%.17g', raised), seat(found[5], address))
            end
        end
    end
end

-- address, checked sequence ('' for none), known id, highest sequence known, how its vector is kept ('' for none), lease name,
-- its token, size, limits, touches, tier, priority ('' for
-- the order of this write), weight, is kept, scope, group, normalised key, key, expiry ('' for none), field of the vector
-- ('' for none), the vector, tags, other fields
function verbs.put()
    local address, checked, known, highest, kind = take(), take(), take(), number(take()), take()
    local lease, token, size = take(), take(), number(take())
    local limits = take_limits()
    if checked ~= '' then
        local state = redis.call('HMGET', STATE, 'id', 'sequence')
        if known ~= '' and state[1] ~= known then
            return { 'lost' }
        end
        if number(state[2]) < highest then
            return { 'lost' } -- it went back to an earlier state
        end
        if number(state[2]) ~= number(checked) then
            return { 'sequence' }
        end
    end
    if is_late(lease, token) then
        return { 'late' }
    end
    if kind ~= '' and not is_kept_so(kind) then
        return { 'vectors' }
    end
    need_memory()
    take_touches()
    drop_alias(address)
    local tier, priority, weight, is_kept = take(), take(), take(), take()
    local had = forget(address, is_kept == '1') or forget_ghost(address)
    if is_kept ~= '1' then
        return { 'refused', unpack(versioned()) }
    end
    local scope, embedder, normal, key, expiry = take(), take(), take(), take(), take()
    local field, vector = take(), take()
    local tags = {}
    for place = 1, number(take()) do
        tags[place] = take()
    end
    local order = count('order', 1)
    identity()
    local fields = { 'order', order, 'tier', tier, 'priority', priority == '' and order or priority, 'weight', weight,
        'size', size, 'scope', scope, 'group', embedder, 'normal', normal, 'key', key }
    if #tags > 0 then
        fields[#fields + 1] = 'tags'
        fields[#fields + 1] = cmsgpack.pack(tags)
    end
    for place = at + 1, #ARGV do
        fields[#fields + 1] = ARGV[place]
    end
    if field ~= '' then
        fields[#fields + 1] = 'vfield'
        fields[#fields + 1] = field
        redis.call('HSET', STATE, 'vectors', kind)
        keep_vector(scope, embedder, field, address, vector, expiry)
    end
    redis.call('UNLINK', doc(address)) -- whatever somebody else has put there
    redis.call('HSET', doc(address), unpack(fields))
    redis.call('ZADD', ALL, order, address)
    redis.call('ZADD', queue(tier), priority == '' and order or priority, seat(order, address))
    join_group(scope, embedder, address, order)
    redis.call('ZADD', BASE .. 'n:' .. scope .. ':' .. normal, order, address)
    redis.call('ZADD', BY_KEY, 0, key .. '\0' .. address)
    if expiry ~= '' then
        redis.call('ZADD', EXPIRES, expiry, address)
    end
    for _, tag in ipairs(tags) do
        redis.call('SADD', BASE .. 't:' .. tag, address)
        redis.call('ZADD', TAGS, 0, tag)
    end
    count('bytes', size)
    share(tier, 1, size)
    if not had and string.len(embedder) > 1 then -- a replaced one was told of
        added(address)
    end
    local evicted = make_room(limits, seat(order, address), size)
    return { 'kept', unpack(versioned(evicted, order)) }
end

-- address, target's address, size, limits, body
function verbs.alias()
    local address, target, size, limits, body = take(), take(), number(take()), take_limits(), take()
    need_memory()
    if not fields_of(doc(target), 'body')[1] or fields_of(doc(address), 'body')[1] then
        return versioned()
    end
    drop_alias(address)
    redis.call('UNLINK', doc(address)) -- whatever somebody else has put there
    redis.call('HSET', doc(address), 'target', target, 'alias', body, 'size', size)
    redis.call('ZADD', ALIASES, count('order', 1), address)
    redis.call('SADD', BASE .. 'to:' .. target, address)
    count('bytes', size)
    local _, aliases, bytes = is_over(limits)
    while (aliases > limits.entries or bytes > limits.bytes) and drop_oldest_alias() do
        _, aliases, bytes = is_over(limits)
    end
    return versioned()
end

-- limits, how the vectors are kept, group, embedder, field of the vector, then address and vector of each
function verbs.vectors()
    local limits, kind, embedder, name, field = take_limits(), take(), take(), take(), take()
    if not is_kept_so(kind) then
        return { 'vectors' }
    end
    redis.call('HSET', STATE, 'vectors', kind)
    local total = 0
    while at < #ARGV do
        local address, vector = take(), take()
        local found = fields_of(doc(address), 'body', 'group', 'order', 'scope', 'size', 'tier', 'vfield',
            'expires')
        local before = found[2]
        if found[1] and before ~= '-' then
            local old = 0
            if found[7] then
                old = string.len(fields_of(vector_of(address), found[7])[1] or '')
                redis.call('UNLINK', vector_of(address))
                if has_sets() then
                    redis.call('VREM', vector_set(found[4], before, found[7]), address)
                end
            end
            -- counted as if each number took four bytes: where they take two, an index has a copy of them
            local grown = (string.len(vector) - old) * (kind == 'float16' and 2 or 1)
            keep_vector(found[4], embedder, field, address, vector, found[8] or '')
            redis.call('HSET', doc(address), 'vfield', field, 'group', embedder, 'embedder', name,
                'size', number(found[5]) + grown)
            leave_group(found[4], before, address)
            join_group(found[4], embedder, address, found[3])
            count('bytes', grown)
            total = total + grown
            redis.call('HINCRBY', SHARES, 'b' .. found[6], grown)
            added(address)
        end
    end
    return versioned(make_room(limits, '', total))
end

-- touches
function verbs.touch()
    take_touches()
    return versioned()
end

-- address, order, priority: what a policy of the user's own says, unless the entry is another one by now
function verbs.raise()
    while at < #ARGV do
        local address, order, priority = take(), take(), take()
        local found = fields_of(doc(address), 'order', 'tier', 'priority')
        if found[1] == order and number(priority) > number(found[3]) then
            redis.call('HSET', doc(address), 'priority', priority)
            redis.call('ZADD', queue(found[2]), priority, seat(order, address))
        end
    end
    return versioned()
end

-- addresses
function verbs.delete()
    local removed = 0
    for place = at + 1, #ARGV do -- aliases first: they leave with their entry, and would not be counted
        removed = removed + (drop_alias(ARGV[place]) and 1 or 0)
    end
    for place = at + 1, #ARGV do
        removed = removed + ((forget(ARGV[place]) or forget_ghost(ARGV[place])) and 1 or 0)
    end
    return versioned(removed)
end

-- address and order of each: those that are still the same are removed, or marked stale at this instant
function verbs.remove()
    local stale = take()
    local done = versioned()
    while at < #ARGV do
        local address, order = take(), take()
        local found = fields_of(doc(address), 'order', 'stale')
        local is_done = found[1] == order
        if is_done and stale == '' then
            forget(address)
        elseif is_done then
            is_done = not found[2]
            if is_done then
                redis.call('HSET', doc(address), 'stale', stale)
                edited('~', address)
            end
        end
        done[#done + 1] = is_done and 1 or 0
    end
    local now = versioned()
    done[1], done[2] = now[1], now[2]
    return done
end

-- now, limit
function verbs.sweep()
    local now, limit = take(), take()
    local expired = redis.call('ZRANGEBYSCORE', EXPIRES, '-inf', now, 'LIMIT', 0, limit)
    local removed = 0
    for _, address in ipairs(expired) do
        if forget(address) or forget_ghost(address) then
            removed = removed + 1
        else
            redis.call('ZREM', EXPIRES, address)
        end
    end
    reseat(limit)
    return versioned(removed, #expired)
end

-- the last order that is meant ('' for that of now), how many at once: also says how many were looked at
function verbs.clear()
    local last, limit = take(), take()
    if last == '' then
        last = redis.call('HGET', STATE, 'order') or '0'
    end
    local found = redis.call('ZRANGEBYSCORE', ALL, '-inf', last, 'LIMIT', 0, limit)
    local removed = 0
    for _, address in ipairs(found) do
        if forget(address) or forget_ghost(address) then
            removed = removed + 1
        end
    end
    return versioned(last, removed, #found)
end

-- tier, now, is a demotion, then address, priority ('' for the order of this write) and weight of each
function verbs.place()
    local tier, now, is_demotion = take(), take(), take()
    local placed = 0
    while at < #ARGV do
        local address, priority, weight = take(), take(), take()
        local found = fields_of(doc(address), 'body', 'order', 'tier', 'size', 'reads')
        if found[1] then
            if priority == '' then
                priority = count('order', 1)
            end
            redis.call('ZREM', queue(found[3]), seat(found[2], address))
            redis.call('ZADD', queue(tier), priority, seat(found[2], address))
            share(found[3] or '', -1, 0 - number(found[4]))
            share(tier, 1, number(found[4]))
            redis.call('HSET', doc(address), 'tier', tier, 'placed', now, 'priority', priority, 'weight', weight)
            if is_demotion == '1' then
                redis.call('HSET', doc(address), 'before', found[5] or '0')
            end
            placed = placed + 1
        end
    end
    return versioned(placed)
end

-- JSON of what it is about, what is to be done (remove or mark), and its number where another bucket has given it ('' else)
function verbs.note_invalidation()
    local text, open, given = take(), take(), take()
    local sequence = number(given)
    if given == '' then
        sequence = count('sequence', 1)
    elseif number(redis.call('HGET', STATE, 'sequence')) < sequence then
        redis.call('HSET', STATE, 'sequence', sequence)
    end
    identity()
    redis.call('ZADD', LOG, sequence, sequence .. ':' .. text)
    local order = redis.call('HGET', STATE, 'order') or '0'
    redis.call('HSET', OPEN, sequence, redis.call('TIME')[1] .. ' ' .. order .. ' ' .. open)
    if sequence > LOG_KEPT then
        redis.call('ZREMRANGEBYSCORE', LOG, '-inf', sequence - LOG_KEPT)
        redis.call('HDEL', COUNTS, sequence - LOG_KEPT)
    end
    return versioned(sequence, order)
end

-- number, count
function verbs.settle_invalidation()
    local sequence, number_of = take(), take()
    redis.call('HSET', COUNTS, sequence, number_of)
    redis.call('HDEL', OPEN, sequence)
    return versioned()
end

-- numbers of invalidations
function verbs.forget_invalidations()
    local dropped = 0
    while at < #ARGV do
        local sequence = take()
        dropped = dropped + redis.call('ZREMRANGEBYSCORE', LOG, sequence, sequence)
        redis.call('HDEL', COUNTS, sequence)
    end
    return dropped
end

-- known id, the last sequence anybody here knows: the database was lost, and with it what was noted
function verbs.go_on()
    local floor = number(take())
    identity()
    if number(redis.call('HGET', STATE, 'sequence')) < floor then
        redis.call('HSET', STATE, 'sequence', floor)
    end
    return versioned()
end

-- name, is there a value, the value
function verbs.note()
    local name, is_kept, value = take(), take(), take()
    if is_kept == '1' then
        redis.call('HSET', NOTES, name, value)
    else
        redis.call('HDEL', NOTES, name)
    end
    edited('n', '')
    return versioned()
end

-- after which order, how many: from now on vectors are kept in sets, and those that are there are put in; the order of the
-- last that was looked at, '' behind the end
function verbs.fill_sets()
    local after, limit = take(), take()
    redis.call('HSET', STATE, 'sets', '1')
    local found = redis.call('ZRANGEBYSCORE', ALL, '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
    for place = 1, #found, 2 do
        local entry = fields_of(doc(found[place]), 'scope', 'group', 'vfield', 'expires')
        if entry[3] and string.len(entry[2] or '') > 1 then
            local vector = fields_of(vector_of(found[place]), entry[3])[1]
            join_set(entry[1], entry[2], entry[3], found[place], vector, entry[4] or '')
        end
    end
    return found[#found] or ''
end

local reply = verbs[ARGV[1]]()
if is_miscounted then
    recount()
end
return reply
