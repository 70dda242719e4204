// The three scripts that run within Redis: Lua, because each must look and write in one moment. What to write is decided in
// TypeScript (cjson would change empty arrays, large numbers and broken surrogates); every key is named in KEYS.

import { createHash } from 'node:crypto'

export interface Script {
  readonly lua: string
  readonly sha: string
}

function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

/**
 * Runs commands if all guards hold. KEYS: one per guard, then one per command. ARGV: how many guards; per guard its kind and two values;
 * per command how many words beside the key, then the words. Answers `done`, or what did not hold: `stale`, or `unlisted` for `known`.
 */
export const commitScript = script(`
local guards = tonumber(ARGV[1])
local at = 2
for g = 1, guards do
  local kind, key, a, b = ARGV[at], KEYS[g], ARGV[at + 1], ARGV[at + 2]
  at = at + 3
  if kind == 'known' then
    if redis.call('EXISTS', key) == 0 then return 'unlisted' end
  elseif kind == 'is' then
    if redis.call('GET', key) ~= a then return 'stale' end
  elseif kind == 'absent' then
    if redis.call('EXISTS', key) == 1 then return 'stale' end
  elseif tonumber(redis.call('HGET', key, a) or 0) > tonumber(b) then
    return 'stale'
  end
end
for k = guards + 1, #KEYS do
  local words = tonumber(ARGV[at])
  redis.call(ARGV[at + 1], KEYS[k], unpack(ARGV, at + 2, at + words))
  at = at + words + 1
end
return 'done'
`)

/**
 * One page of names out of a sorted set, those that are in at least one set of each group. KEYS: the sorted set, the one by creation, then
 * the groups' sets. ARGV: asc or desc; how many; score and name after which to begin ('' for the start); text within the name; created from;
 * created before; then the size of each group. Answers a score and a name to go on after ('' when that was all), then names and scores,
 * in no promised order. Names are compared by byte: Lua's own comparison follows the server's locale.
 */
export const pageScript = script(`
local z, created = KEYS[1], KEYS[2]
local rev, want = ARGV[1] == 'desc', tonumber(ARGV[2])
local at, tie = tonumber(ARGV[3]), ARGV[4]
local text, from, before = ARGV[5], ARGV[6], ARGV[7]
local dated = from ~= '-inf' or before ~= '+inf'
local few, step, most = 1000, 500, 20000

local groups, k = {}, 3
for g = 8, #ARGV do
  local sets = {}
  for _ = 1, tonumber(ARGV[g]) do
    sets[#sets + 1] = KEYS[k]
    k = k + 1
  end
  groups[#groups + 1] = sets
end

local function less(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function comes_after(score, name)
  if score ~= at then return (score > at) ~= rev end
  if rev then return less(name, tie) end
  return less(tie, name)
end

local function ranked(first, last)
  if rev then return redis.call('ZRANGE', z, first, last, 'REV', 'WITHSCORES') end
  return redis.call('ZRANGE', z, first, last, 'WITHSCORES')
end

local function matching(names)
  local keep = {}
  for i, name in ipairs(names) do
    keep[i] = text == '' or string.find(string.lower(name), text, 1, true) ~= nil
  end
  for _, sets in ipairs(groups) do
    local hit = {}
    for _, key in ipairs(sets) do
      for i, is in ipairs(redis.call('SMISMEMBER', key, unpack(names))) do hit[i] = hit[i] or is == 1 end
    end
    for i = 1, #names do keep[i] = keep[i] and hit[i] end
  end
  if dated then
    for i, score in ipairs(redis.call('ZMSCORE', created, unpack(names))) do
      local ms = tonumber(score or '-inf')
      keep[i] = keep[i] and ms >= tonumber(from) and ms < tonumber(before)
    end
  end
  return keep
end

local size, all, source = redis.call('ZCARD', z), nil, nil
all = size
for _, sets in ipairs(groups) do
  local count = 0
  for _, key in ipairs(sets) do count = count + redis.call('SCARD', key) end
  if count < size then size, source = count, sets end
end
if dated and redis.call('ZCOUNT', created, from, '(' .. before) < size then
  size, source = redis.call('ZCOUNT', created, from, '(' .. before), 'dates'
end

local out = { '', '' }
if source and size <= few then
  local names, seen = {}, {}
  if source == 'dates' then
    names = redis.call('ZRANGE', created, from, '(' .. before, 'BYSCORE')
  else
    for _, key in ipairs(source) do
      for _, name in ipairs(redis.call('SMEMBERS', key)) do
        if not seen[name] then names[#names + 1] = name end
        seen[name] = true
      end
    end
  end
  if #names == 0 then return out end
  local keep, scores = matching(names), redis.call('ZMSCORE', z, unpack(names))
  for i, name in ipairs(names) do
    if keep[i] and scores[i] and (not at or comes_after(tonumber(scores[i]), name)) then
      out[#out + 1] = name
      out[#out + 1] = scores[i]
    end
  end
  return out
end

local low, high = 0, at and all or 0
while low < high do
  local middle = math.floor((low + high) / 2)
  local entry = ranked(middle, middle)
  if comes_after(tonumber(entry[2]), entry[1]) then high = middle else low = middle + 1 end
end
if dated and z == created then
  local outside = rev and redis.call('ZCOUNT', z, before, '+inf') or redis.call('ZCOUNT', z, '-inf', '(' .. from)
  low = math.max(low, outside)
end
local stop = low + most
while low < all do
  local rows = ranked(low, low + step - 1)
  local names = {}
  for i = 1, #rows, 2 do names[#names + 1] = rows[i] end
  local keep = matching(names)
  for i, name in ipairs(names) do
    if keep[i] then
      out[#out + 1] = name
      out[#out + 1] = rows[2 * i]
      if #out == 2 + 2 * want then return out end
    end
  end
  low = low + step
  if low >= stop then
    out[1], out[2] = rows[#rows], rows[#rows - 1]
    return out
  end
end
return out
`)

/**
 * Notes a retained turn as the newest of all, and takes the oldest out of the list while all together weigh too much. KEYS: order, bytes,
 * totals. ARGV: member, bytes (0 takes it out), the most that all may weigh. Answers the members whose turns are to be dropped.
 */
export const weighTurnScript = script(`
local order, bytes, totals = KEYS[1], KEYS[2], KEYS[3]
local function forget(member)
  local held = redis.call('HGET', bytes, member)
  if not held then return end
  redis.call('HINCRBY', totals, 'bytes', '-' .. held)
  redis.call('HDEL', bytes, member)
  redis.call('ZREM', order, member)
end
local member, size, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
forget(member)
if size > 0 then
  redis.call('ZADD', order, redis.call('HINCRBY', totals, 'written', 1), member)
  redis.call('HSET', bytes, member, size)
  redis.call('HINCRBY', totals, 'bytes', size)
end
local dropped = {}
while tonumber(redis.call('HGET', totals, 'bytes') or 0) > most do
  local oldest = redis.call('ZRANGE', order, 0, 0)[1]
  if not oldest then break end
  forget(oldest)
  dropped[#dropped + 1] = oldest
end
return dropped
`)
