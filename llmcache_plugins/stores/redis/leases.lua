-- Leases, tallies, and invalidations that are overdue.

local LEASE_ORDER = BASE .. 'lease-order'
local LOG = BASE .. 'log'
local OPEN = BASE .. 'open'
local TALLIES = BASE .. 'tallies'
local LEASES_KEPT = 10000
local ENDED = '-1e308'

function verbs.acquire()
    local name, holder, now, till = take(), take(), number(take()), take()
    local found = redis.call('HMGET', LEASES, 't' .. name, 'h' .. name, 'u' .. name)
    local is_held = found[1] and number(found[3]) > now
    if is_held and found[2] ~= holder then
        return ''
    end
    local token = found[1]
    if not is_held then
        -- Above those of a database that was lost: the clock goes on.
        local time = redis.call('TIME')
        token = math.max(number(redis.call('HGET', STATE, 'token')) + 1, time[1] * 1000000 + time[2])
        token = string.format('%.0f', token)
        redis.call('HSET', STATE, 'token', token)
        redis.call('ZADD', LEASE_ORDER, token, name)
    end
    redis.call('HSET', LEASES, 't' .. name, token, 'h' .. name, holder, 'u' .. name, till)
    while redis.call('ZCARD', LEASE_ORDER) > LEASES_KEPT do
        local oldest = redis.call('ZRANGE', LEASE_ORDER, 0, 0)[1]
        if number(redis.call('HGET', LEASES, 'u' .. oldest)) > now then
            break
        end
        local forgotten = number(redis.call('HGET', LEASES, 't' .. oldest))
        if forgotten > number(redis.call('HGET', STATE, 'leases-forgotten')) then
            redis.call('HSET', STATE, 'leases-forgotten', forgotten)
        end
        redis.call('HDEL', LEASES, 't' .. oldest, 'h' .. oldest, 'u' .. oldest)
        redis.call('ZREM', LEASE_ORDER, oldest)
    end
    return token
end

-- name, token: was a later lease of this name given?
function verbs.late()
    return is_late(take(), take()) and 1 or 0
end

-- name, holder, token: 0 from one who never heard which; no two flights have the same holder
function verbs.release()
    local name, holder, token = take(), take(), take()
    local found = redis.call('HMGET', LEASES, 't' .. name, 'h' .. name)
    if (found[1] == token or token == '0') and found[2] == holder then
        redis.call('HSET', LEASES, 'u' .. name, ENDED)
    end
    return 1
end

-- how many are expected, how many are kept; name, is there one, and the text of each that is expected; name and text of
-- each that is kept; names of those that are dropped. First what needs memory: a full server refuses all of it then.
function verbs.tally()
    local expected, kept = number(take()), number(take())
    local is_same = true
    for _ = 1, expected do
        local name, is_there, text = take(), take(), take()
        local found = redis.call('HGET', TALLIES, name)
        is_same = is_same and (found or '') == text and (found and '1' or '0') == is_there
    end
    if not is_same then
        return 0
    end
    for _ = 1, kept do
        redis.call('HSET', TALLIES, take(), take())
    end
    while at < #ARGV do
        redis.call('HDEL', TALLIES, take())
    end
    return 1
end

-- seconds: invalidations that were begun so long ago and are not carried out, for who began them has died: number, order of
-- what was stored last by then, what is to be done, and what the log says
function verbs.overdue()
    local longest = number(take())
    local now = number(redis.call('TIME')[1])
    local found = {}
    local open = redis.call('HGETALL', OPEN)
    for place = 1, #open, 2 do
        local begun, order, what = string.match(open[place + 1], '^(%d+) (%d+) (.*)$')
        local noted = redis.call('ZRANGEBYSCORE', LOG, open[place], open[place])[1]
        if not begun or not noted then
            redis.call('HDEL', OPEN, open[place])
        elseif now - number(begun) >= longest then
            found[#found + 1] = { open[place], order, what, noted }
        end
    end
    return found
end

return verbs[ARGV[1]]()
