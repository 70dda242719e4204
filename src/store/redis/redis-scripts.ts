// The larger scripts that run in Redis: Lua, because each must read and write atomically. TypeScript decides what to write (cjson would
// change empty arrays, large numbers and lone surrogates); every key is listed in KEYS.

import { createHash } from 'node:crypto'

export interface Script {
  readonly lua: string
  readonly sha: string
}

export function script(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

/**
 * Runs commands if all guards hold. KEYS: one per guard, then one per command. ARGV: number of guards; per guard its kind and two values;
 * per command the number of arguments besides the key, then the arguments. Returns `done`, or what did not hold: `stale`, or `unlisted` for
 * `known`.
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
  elseif kind == 'size' then
    if redis.call('SCARD', key) ~= tonumber(a) then return 'stale' end
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
 * One page of names of a sorted set, limited to those in at least one set of each group. KEYS: the sorted set, the one by creation, then
 * the groups' sets. ARGV: asc or desc; how many; score and name to start after ('' for the start); text in the name, in lower case; created
 * from; created before; then the size of each group. Returns a score and a name to continue after ('' at the end), then names and scores,
 * in order. Names are compared by byte, because Lua's own comparison depends on the server's locale.
 */
export const pageScript = script(`
local z, created = KEYS[1], KEYS[2]
local rev, want = ARGV[1] == 'desc', tonumber(ARGV[2])
local at, tie = tonumber(ARGV[3]), ARGV[4]
local text, from, before = ARGV[5], ARGV[6], ARGV[7]
local dated = from ~= '-inf' or before ~= '+inf'
local most = 20000

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

-- All names that the groups of one set let through, in ascending order, if one of these is small: then it is cheaper to intersect
-- them in C than to ask name by name. These groups are done with then.
local function intersected()
  local size, keys, weights, rest = math.huge, { z }, { 1 }, {}
  for _, sets in ipairs(groups) do
    if #sets == 1 then
      size = math.min(size, redis.call('SCARD', sets[1]))
      keys[#keys + 1], weights[#weights + 1] = sets[1], 0
    else
      rest[#rest + 1] = sets
    end
  end
  -- One group that is not small fills a page soon; two may have little in common.
  if size > (#keys > 2 and 3000 or 600) then return nil end
  groups = rest
  local words = { #keys, unpack(keys) }
  words[#words + 1] = 'WEIGHTS'
  for _, weight in ipairs(weights) do words[#words + 1] = weight end
  return redis.call('ZINTER', unpack(words))
end

-- The same for a short span of days.
local function within_dates()
  if not dated or redis.call('ZCOUNT', created, from, '(' .. before) > 500 then return nil end
  local names = redis.call('ZRANGE', created, from, '(' .. before, 'BYSCORE')
  if #names == 0 then return names end
  local scores, score_of = redis.call('ZMSCORE', z, unpack(names)), {}
  for i = 1, #names do score_of[names[i]] = tonumber(scores[i] or 0) end
  table.sort(names, function(a, b)
    if score_of[a] ~= score_of[b] then return score_of[a] < score_of[b] end
    return less(a, b)
  end)
  return names
end

local list = intersected() or within_dates()
local all = list and #list or redis.call('ZCARD', z)

-- Without scores: to write them out costs more than all else here.
local function ranked(first, last)
  if not list then
    if rev then return redis.call('ZRANGE', z, first, last, 'REV') end
    return redis.call('ZRANGE', z, first, last)
  end
  local names = {}
  for rank = first, math.min(last, all - 1) do names[#names + 1] = rev and list[all - rank] or list[rank + 1] end
  return names
end

local function comes_after(name)
  local score = tonumber(redis.call('ZSCORE', z, name))
  if score ~= at then return (score > at) ~= rev end
  if rev then return less(name, tie) end
  return less(tie, name)
end

local function matching(names)
  local keep = {}
  for i = 1, #names do keep[i] = text == '' or string.find(string.lower(names[i]), text, 1, true) ~= nil end
  for _, sets in ipairs(groups) do
    local hit = {}
    for _, key in ipairs(sets) do
      local is = redis.call('SMISMEMBER', key, unpack(names))
      for i = 1, #names do hit[i] = hit[i] or is[i] == 1 end
    end
    for i = 1, #names do keep[i] = keep[i] and hit[i] end
  end
  if dated then
    local scores = redis.call('ZMSCORE', created, unpack(names))
    for i = 1, #names do
      local ms = tonumber(scores[i] or '-inf')
      keep[i] = keep[i] and ms >= tonumber(from) and ms < tonumber(before)
    end
  end
  return keep
end

local low, high = 0, at and all or 0
while low < high do
  local middle = math.floor((low + high) / 2)
  if comes_after(ranked(middle, middle)[1]) then high = middle else low = middle + 1 end
end
if dated and z == created and not list then
  low = math.max(low, rev and redis.call('ZCOUNT', z, before, '+inf') or redis.call('ZCOUNT', z, '-inf', '(' .. from))
  all = all - (rev and redis.call('ZCOUNT', z, '-inf', '(' .. from) or redis.call('ZCOUNT', z, before, '+inf'))
end

local out, found = { '', '' }, {}
local stop, step = low + most, want
while low < all and #found < want do
  local names = ranked(low, low + step - 1)
  local keep = matching(names)
  for i = 1, #names do
    if keep[i] then found[#found + 1] = names[i] end
    if #found == want then break end
  end
  low = low + step
  step = math.min(2 * step, 1000)
  if low >= stop and low < all and #found < want then
    out = { redis.call('ZSCORE', z, names[#names]), names[#names] }
    break
  end
end
if #found == 0 then return out end
local scores = redis.call('ZMSCORE', z, unpack(found))
for i = 1, #found do
  out[#out + 1] = found[i]
  out[#out + 1] = scores[i]
end
return out
`)
