// What accounts use within a minute, in Redis: a hash per account that expires, with a field per second and kind (`r1700000000`: requests,
// `t1700000000`: tokens). The accounts of one owner are in one slot of a cluster, so that one script changes them together.

import type { RateUse } from '../../base/rates.ts'
import { RATE_SLOTS, type RateMethods } from '../rate-methods.ts'
import type { RedisRows } from './redis-rows.ts'
import { script } from './redis-scripts.ts'

/** Reads the accounts of KEYS, and drops the seconds that no longer count. */
const reading = `
local span = ${RATE_SLOTS}
local time = redis.call('TIME')
local now, ms = tonumber(time[1]), time[1] * 1000 + math.floor(time[2] / 1000)

local function read(key)
  local used = { r = {}, t = {} }
  local old, flat = {}, redis.call('HGETALL', key)
  for i = 1, #flat, 2 do
    local second = tonumber(string.sub(flat[i], 2))
    if second <= now - span then old[#old + 1] = flat[i]
    else used[string.sub(flat[i], 1, 1)][second] = tonumber(flat[i + 1]) end
  end
  if #old > 0 then redis.call('HDEL', key, unpack(old)) end
  return used
end

local function sum_of(used)
  local sum, newest = 0, 0
  for second, count in pairs(used) do
    sum = sum + count
    if count > 0 and second > newest then newest = second end
  end
  return sum, newest == 0 and 0 or (newest + span) * 1000 - ms
end

local function add(key, kind, second, more)
  redis.call('HINCRBY', key, kind .. string.format('%.0f', second), more)
  redis.call('PEXPIRE', key, (span + 1) * 1000)
end

local function report(out, used)
  local requests, requests_reset = sum_of(used.r)
  local tokens, tokens_reset = sum_of(used.t)
  for _, number in ipairs({ requests, tokens, requests_reset, tokens_reset }) do out[#out + 1] = number end
end
`

/**
 * ARGV: the tokens, then per account the limits of requests and tokens, -1 for none. Returns the second to which they were added or 0, how
 * long requests and tokens have to wait, and four numbers per account.
 */
const takeScript = script(`${reading}
local want = { r = 1, t = tonumber(ARGV[1]) }
local accounts, wait = {}, { r = 0, t = 0 }

local function wait_of(used, more, limit)
  local left = sum_of(used) + more
  if limit < 0 or left <= limit then return 0 end
  local seconds = {}
  for second in pairs(used) do seconds[#seconds + 1] = second end
  table.sort(seconds)
  for _, second in ipairs(seconds) do
    left = left - used[second]
    if left <= limit then return (second + span) * 1000 - ms end
  end
  return span * 1000
end

for i, key in ipairs(KEYS) do
  accounts[i] = read(key)
  wait.r = math.max(wait.r, wait_of(accounts[i].r, want.r, tonumber(ARGV[2 * i])))
  wait.t = math.max(wait.t, wait_of(accounts[i].t, want.t, tonumber(ARGV[2 * i + 1])))
end
local fits = wait.r == 0 and wait.t == 0
local out = { fits and now or 0, wait.r, wait.t }
for i, key in ipairs(KEYS) do
  local used = accounts[i]
  if fits then
    for kind, more in pairs(want) do
      add(key, kind, now, more)
      used[kind][now] = (used[kind][now] or 0) + more
    end
  end
  report(out, used)
end
return out
`)

/** ARGV: the second, then the change of requests and of tokens. */
const settleScript = script(`${reading}
local at, change = tonumber(ARGV[1]), { r = tonumber(ARGV[2]), t = tonumber(ARGV[3]) }
for _, key in ipairs(KEYS) do
  local used = read(key)
  for kind, more in pairs(change) do
    local then_ = used[kind][at]
    if more > 0 then add(key, kind, now, more)
    elseif more < 0 and then_ then add(key, kind, at, math.max(more, -then_)) end
  end
end
`)

const readScript = script(`${reading}
local out = {}
for _, key in ipairs(KEYS) do report(out, read(key)) end
return out
`)

export function ratesIn({ link, shared }: Pick<RedisRows, 'link' | 'shared'>): RateMethods {
  const keysOf = (owner: string, names: readonly string[]) => names.map((name) => shared.rate(owner, name))

  return {
    async takeRate(owner, accounts, tokens) {
      const keys = keysOf(
        owner,
        accounts.map(({ name }) => name),
      )
      const limits = accounts.flatMap(({ limit }) => [limit.requests ?? -1, limit.tokens ?? -1])
      const [at = 0, requests = 0, tokensWait = 0, ...rest] = numbers(
        await link.run(takeScript, keys, [tokens, ...limits]),
      )
      return { at: at === 0 ? undefined : at, uses: usesOf(rest), waitMs: { requests, tokens: tokensWait } }
    },

    async settleRate(owner, accounts, at, { requests, tokens }) {
      await link.run(settleScript, keysOf(owner, accounts), [at, requests, tokens])
    },

    readRates: async (owner, accounts) => usesOf(numbers(await link.run(readScript, keysOf(owner, accounts), []))),
  }
}

function numbers(answer: unknown): number[] {
  return (answer as unknown[]).map(Number)
}

function usesOf(words: readonly number[]): RateUse[] {
  const uses: RateUse[] = []
  for (let n = 0; n + 3 < words.length; n += 4) {
    const [requests = 0, tokens = 0, requestsResetMs = 0, tokensResetMs = 0] = words.slice(n, n + 4)
    uses.push({ requests, tokens, requestsResetMs, tokensResetMs })
  }
  return uses
}
