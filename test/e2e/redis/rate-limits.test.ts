// Rate limits of two proxies on one Redis: they count together, and alone while Redis does not answer.

import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { keyHash } from '../../../src/base/auth.ts'
import type { Settings } from '../../../src/config/schema.ts'
import type { TenantJson } from '../../../src/wire/tenants.ts'
import { errorOf, type Got, jsonOf } from '../../support/client.ts'
import { askChat, prose, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { metricOf } from '../../support/departing-client.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { rest } from '../../support/rest.ts'

const LIMIT = 4_000
const FLOODING = ['flood-a', 'flood-b', 'flood-c', 'flood-d']
const HONEST = ['calm-a', 'calm-b', 'calm-c', 'calm-d']
const CLIENTS = 100

/** Each with tenants of its own. */
const ROUNDS = 4

const ids = Array.from({ length: ROUNDS }, (_, round) => [...FLOODING, ...HONEST].map((name) => `${name}-${round}`))
const tenants = [...ids.flat(), 'warm'].map((id) => ({
  id,
  keys: [{ name: 'main', sha256: keyHash(`sk-${id}`) }],
  tokens_per_minute: LIMIT,
}))
const bearer = (tenant: string) => ({ authorization: `Bearer sk-${tenant}` })

interface UsageJson {
  readonly usage: {
    readonly prompt_tokens: number
    readonly completion_tokens: number
    readonly prompt_tokens_details: { readonly cached_tokens: number }
  }
}

function computedIn(got: Got): number {
  const { prompt_tokens, completion_tokens, prompt_tokens_details } = jsonOf<UsageJson>(got).usage
  return prompt_tokens - prompt_tokens_details.cached_tokens + completion_tokens
}

/** One answer: when it was asked for and given, and what was computed for it. */
interface Answered {
  readonly tenant: string
  readonly status: number
  readonly code: string | undefined
  readonly from: number
  readonly to: number
  readonly tokens: number
}

describe.skipIf(skipsRedis)('rate limits of two proxies', () => {
  let fleet: Fleet
  afterEach(() => fleet?.close())

  const start = async (settings: Partial<Settings>) => {
    fleet = await startFleet({ settings })
  }
  const urlOf = (n: number) => (n % 2 === 0 ? fleet.a : fleet.b).url

  async function send(n: number, tenant: string, words: number): Promise<Answered> {
    const from = performance.now()
    const got = await askChat(urlOf(n), [user(`${tenant} ${n}: ${prose(words, `${tenant}${n}`)}`)], {
      headers: bearer(tenant),
      body: { max_tokens: 30 },
    })
    const ok = got.status === 200
    const code = ok ? undefined : errorOf(got).code
    return { tenant, status: got.status, code, from, to: performance.now(), tokens: ok ? computedIn(got) : 0 }
  }

  /** The most that a tenant's requests in flight at one moment computed. */
  function mostInFlight(answers: readonly Answered[]): number {
    const at = (moment: number) =>
      answers.filter(({ from, to }) => from <= moment && moment < to).reduce((sum, { tokens }) => sum + tokens, 0)
    return Math.max(...answers.map(({ from }) => at(from)))
  }

  /** All clients of one run. Most flood; each honest tenant has three, which stay below its limit together. */
  async function run(tenantOf: (names: readonly string[], client: number) => string): Promise<Answered[]> {
    const answers: Answered[] = []
    let serial = 0
    const clients = Array.from({ length: CLIENTS }, async (_, client) => {
      await delay(10 * client)
      const isHonest = client < 3 * HONEST.length
      const tenant = tenantOf(isHonest ? HONEST : FLOODING, client)
      for (let n = 0; n < (isHonest ? 3 : 5); n++) answers.push(await send(serial++, tenant, isHonest ? 40 : 100))
    })
    await Promise.all(clients)
    return answers
  }

  const fallbacks = async () =>
    (await metricOf(fleet.a.url, 'cwm_rate_limit_fallbacks_total')) +
    (await metricOf(fleet.b.url, 'cwm_rate_limit_fallbacks_total'))

  it('100 clients: no tenant computes more than its limit and what is in flight, and the honest ones are not touched', async () => {
    await start({ tenants })
    // Redis has the scripts, and the proxies have run once.
    for (let n = 0; n < 4; n++) await askChat(urlOf(n), [user('hello')], { headers: bearer('warm') })

    // On a busy machine an answer of Redis may come too late. Proxies then count alone, and that is not what is tested here.
    let answers: Answered[] = []
    let id = (name: string) => name
    for (let round = 0; round < ROUNDS; round++) {
      const before = await fallbacks()
      const began = performance.now()
      id = (name) => `${name}-${round}`
      answers = await run((names, client) => id(names[client % names.length] ?? ''))
      const isAway = answers.some(({ code }) => code === 'store_unavailable') || (await fallbacks()) > before
      // The first uses must still count when the last are made.
      if (!isAway && performance.now() - began < 50_000) break
    }

    const of = (tenant: string) => answers.filter((one) => one.tenant === id(tenant))
    const computed = (tenant: string) => of(tenant).reduce((sum, { tokens }) => sum + tokens, 0)
    for (const tenant of FLOODING) {
      expect(computed(tenant)).toBeGreaterThan(LIMIT / 2)
      expect(computed(tenant)).toBeLessThanOrEqual(LIMIT + mostInFlight(of(tenant)))
      expect(of(tenant).filter(({ code }) => code === 'rate_limit_exceeded').length).toBeGreaterThan(0)
    }
    for (const tenant of HONEST) expect(of(tenant).map(({ status }) => status)).toEqual(Array(9).fill(200))
    expect(new Set(answers.map(({ code }) => code))).toEqual(new Set([undefined, 'rate_limit_exceeded']))
    for (const tenant of [...FLOODING, ...HONEST]) {
      const { rates } = await rest<TenantJson>(fleet.a.url, 'GET', '/tenants/me', undefined, bearer(id(tenant)))
      expect(rates?.tenant.tokens?.remaining).toBe(Math.max(0, LIMIT - computed(tenant)))
    }
  }, 180_000)

  it('share what is left, of requests too', async () => {
    await start({ requests_per_minute: 3 })

    const got: Got[] = []
    for (const n of [0, 1, 2, 3, 4]) got.push(await askChat(urlOf(n), [user('hello')]))

    expect(got.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429])
    expect(got.map(({ headers }) => headers['x-ratelimit-remaining-requests'])).toEqual(['2', '1', '0', '0', '0'])
    expect(Number(got[3]?.headers['retry-after'])).toBeGreaterThan(40)
  })

  it('are counted by each proxy alone while Redis does not answer, and together again after that', async () => {
    await start({ requests_per_minute: 2 })
    const b = () => askChat(fleet.b.url, [user('hello')])
    await b()

    fleet.hop.cut()
    const away: Got[] = []
    // A turn whose session Redis had to confirm just then is rejected (503), and does not count.
    while (away.length < 3) {
      const got = await b()
      if (got.status !== 503) away.push(got)
    }
    const elsewhere = await askChat(fleet.a.url, [user('hello')])
    fleet.hop.mend()
    const back = await until('b counts with a again', async () => {
      const got = await b()
      return got.headers['x-ratelimit-remaining-requests'] === '0' && got.status === 429 && got
    })

    expect(away.map(({ status }) => status)).toEqual([200, 200, 429])
    expect(elsewhere.status).toBe(200)
    expect(elsewhere.headers['x-ratelimit-remaining-requests']).toBe('0')
    expect(errorOf(back).message).toContain('2 are used')
    expect(await metricOf(fleet.b.url, 'cwm_rate_limit_fallbacks_total')).toBeGreaterThanOrEqual(3)
    expect(await metricOf(fleet.a.url, 'cwm_rate_limit_fallbacks_total')).toBe(0)
  })
})
