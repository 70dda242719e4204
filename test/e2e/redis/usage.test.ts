// The ledger of two proxies on one Redis: it adds up to what the engine counted, while Redis is slow, away, or a proxy is killed.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { chat, user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { skipsRedis } from '../../support/redis-server.ts'
import { type Fleet, startFleet } from '../../support/redis-stack.ts'
import { answeredTokens, onlyLine } from '../../support/usage.ts'

/** 10,000 take minutes: CWM_LEDGER_REQUESTS=10000 */
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
