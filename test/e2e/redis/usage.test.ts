// The ledger of two proxies on one Redis: it adds up to what the engine counted, while Redis is slow, away, or a proxy is killed.

import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { startSim } from '../../../src/sim/index.ts'
import { buildCwm } from '../../support/built-cwm.ts'
import { chat, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { RedisServer, skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { startServe } from '../../support/serve-process.ts'
import { answeredTokens, onlyLine } from '../../support/usage.ts'

/** CI sends 10,000 (CWM_LEDGER_REQUESTS=10000), which takes about half a minute. */
const REQUESTS = Number(process.env.CWM_LEDGER_REQUESTS ?? 200)
const AT_ONCE = 20

describe.skipIf(skipsRedis)('the ledger of two proxies', () => {
  let fleet: Fleet
  beforeEach(async () => {
    fleet = await startFleet()
  })
  afterEach(() => fleet?.close())

  async function send(count: number) {
    const answers: Awaited<ReturnType<typeof chat>>[] = []
    let next = 0
    const work = async () => {
      for (let n = next++; n < count; n = next++) {
        const { url } = n % 2 === 0 ? fleet.a : fleet.b
        answers.push(await chat(url, [user(`question ${n % 7}`)], { body: { max_tokens: 3 } }))
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, work))
    return answeredTokens(answers.map(({ got }) => got))
  }

  it(`equals the engine's own count over ${REQUESTS} requests`, async () => {
    const answered = await send(REQUESTS)

    // Nobody asks the other proxy: it adds its counts on its own.
    const line = await until('the counts of both proxies are stored', async () => {
      const seen = await onlyLine(fleet.b.url)
      return seen.requests >= REQUESTS ? seen : undefined
    })

    expect(line).toMatchObject({
      requests: REQUESTS,
      errors: 0,
      aborted: 0,
      prompt_tokens: fleet.sim.promptTokens(),
      cached_tokens: fleet.sim.cachedTokens(),
      completion_tokens: answered.completion,
    })
    expect(answered.prompt).toBe(fleet.sim.promptTokens())
    expect(line.first_token.count).toBe(REQUESTS)
  }, 600_000)

  it('counts nothing twice when Redis stops answering and comes back', async () => {
    await send(20)
    fleet.redis.pause()
    const during = send(6)
    await during
    fleet.redis.goOn()

    const whole = await until('all requests are counted', async () => {
      const lines = [await onlyLine(fleet.a.url), await onlyLine(fleet.b.url)]
      return lines.find(({ requests }) => requests >= 26)
    })

    expect(whole).toMatchObject({ requests: 26, prompt_tokens: fleet.sim.promptTokens() })
  })
})

describe.skipIf(skipsRedis)('the ledger of two proxies of which one is killed', () => {
  it('is missing at most what the killed one counted since its last addition, and counts nothing twice', async () => {
    const [built, sim, redis] = await Promise.all([buildCwm(), startSim(), RedisServer.start()])
    onTestFinished(async () => {
      await Promise.all([sim.close(), redis.dispose()])
    })
    const env = { CWM_SECRET: 'a secret that both proxies share, 0123456789' }
    const options = { upstream: sim.engineUrl, env, flags: { store: redis.url } }
    const [killed, other] = await Promise.all([startServe(built, options), startServe(built, options)])
    onTestFinished(async () => {
      await Promise.all([killed.dispose(), other.dispose()])
    })
    const [killedUrl, otherUrl] = await Promise.all([killed.ready(), other.ready()])
    // Equally long, so that the sum says how many were counted.
    const tokensOf = async (url: string, n: number) => (await chat(url, [user(`question ${n}`)])).promptTokens
    const each = await tokensOf(killedUrl, 1)
    for (let n = 2; n < 6; n++) await tokensOf(n % 2 === 0 ? killedUrl : otherUrl, n)
    // The proxy that will be killed adds its counts on its own: nobody asks it for a report.
    await until('five requests are stored', async () => (await onlyLine(otherUrl)).requests === 5)
    for (let n = 6; n < 9; n++) await tokensOf(killedUrl, n)

    killed.kill('SIGKILL')
    await killed.ended()
    for (let n = 1; n < 3; n++) await tokensOf(otherUrl, n)

    const line = await onlyLine(otherUrl)
    expect(line.requests).toBeGreaterThanOrEqual(5 + 2)
    expect(line.requests).toBeLessThanOrEqual(8 + 2)
    expect(line.prompt_tokens).toBe(line.requests * each)
  })
})
