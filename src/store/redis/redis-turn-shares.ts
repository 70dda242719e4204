// The script that keeps the total size of retained turns, and which of them are dropped when it exceeds the limit, by the rules of
// base/fair-map.ts.

import { IDLE_MS, LARGE_SHARE } from '../retained-shares.ts'
import { script } from './redis-scripts.ts'

/**
 * Records a retained turn as the newest, and drops others while all together exceed the limit. KEYS: order (all turns by when they were
 * written), bytes, totals, queue (TENANT/WRITTEN/BYTES/MEMBER, so that the oldest of a tenant is found), shares (bytes by tenant), used
 * (time by tenant). ARGV: member, bytes (0 removes it), the limit, the time in milliseconds. Returns the members whose turns are to be
 * dropped, which may include this one. Turns that an older version of cwm has written since are added to the queue first, and places of
 * turns that it has replaced or removed are skipped.
 */
export const weighTurnScript = script(`
local order, bytes, totals, queue, shares, used = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local member, size, limit, now = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local own = member:match('^[^/]*')

local function place_of(m, written, held)
  return m:match('^[^/]*') .. '/' .. string.format('%016.0f', tonumber(written)) .. '/' .. held .. '/' .. m
end
local function leave(place, tenant, held)
  if redis.call('ZREM', queue, place) == 0 then return end
  if tonumber(redis.call('ZINCRBY', shares, '-' .. held, tenant)) > 0 then return end
  redis.call('ZREM', shares, tenant)
  redis.call('ZREM', used, tenant)
end
local function forget(m)
  local held = redis.call('HGET', bytes, m)
  if not held then return end
  leave(place_of(m, redis.call('ZSCORE', order, m) or 0, held), m:match('^[^/]*'), held)
  redis.call('HINCRBY', totals, 'bytes', '-' .. held)
  redis.call('HDEL', bytes, m)
  redis.call('ZREM', order, m)
end
local function add_to_queue()
  local seen = redis.call('HGET', totals, 'seen') or 0
  local news = redis.call('ZRANGE', order, '(' .. seen, '+inf', 'BYSCORE', 'LIMIT', 0, 1000, 'WITHSCORES')
  for i = 1, #news, 2 do
    local m, held = news[i], redis.call('HGET', bytes, news[i])
    if held and redis.call('ZADD', queue, 0, place_of(m, news[i + 1], held)) == 1 then
      redis.call('ZINCRBY', shares, held, m:match('^[^/]*'))
      redis.call('ZADD', used, now, m:match('^[^/]*'))
    end
  end
  if #news > 0 then redis.call('HSET', totals, 'seen', news[#news]) end
end
local function total() return tonumber(redis.call('HGET', totals, 'bytes') or 0) end
local function fits()
  local free = limit - total()
  if size <= free or size <= limit * ${LARGE_SHARE} then return true end
  local missing = size - free - (redis.call('ZSCORE', shares, own) or 0)
  local large = redis.call('ZRANGE', shares, '(' .. size, '+inf', 'BYSCORE', 'WITHSCORES')
  for i = 1, #large, 2 do
    if large[i] ~= own then missing = missing - (large[i + 1] - size) end
  end
  return size <= limit and missing <= 0
end

forget(member)
add_to_queue()
if size > 0 then
  if not fits() then return { member } end
  redis.call('ZADD', order, redis.call('HINCRBY', totals, 'written', 1), member)
  redis.call('HSET', bytes, member, size)
  redis.call('HINCRBY', totals, 'bytes', size)
  add_to_queue()
end

local dropped = {}
local function oldest_of(tenant)
  return redis.call('ZRANGE', queue, '[' .. tenant .. '/', '(' .. tenant .. '0', 'BYLEX', 'LIMIT', 0, 1)[1]
end
local function drop_one()
  local idle = redis.call('ZRANGE', used, '-inf', '(' .. now - ${IDLE_MS}, 'BYSCORE', 'LIMIT', 0, 1)[1]
  local most = redis.call('ZRANGE', shares, 0, 1, 'REV')
  for _, tenant in ipairs({ idle or most[1], idle and most[1] or most[2] }) do
    local place = oldest_of(tenant)
    if not place then
      redis.call('ZREM', shares, tenant)
      redis.call('ZREM', used, tenant)
      return true
    end
    local written, held, m = place:match('^[^/]*/(%d+)/(%d+)/(.*)$')
    local isThere = tonumber(redis.call('ZSCORE', order, m) or 0) == tonumber(written)
    if not isThere then
      leave(place, tenant, held)
      return true
    elseif m ~= member or size == 0 then
      forget(m)
      dropped[#dropped + 1] = m
      return true
    end
  end
  return false
end
for _ = 1, 10000 do
  if total() <= limit or not drop_one() then break end
end
return dropped
`)
