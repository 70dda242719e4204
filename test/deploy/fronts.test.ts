// Caddy and nginx with real TLS in front of cwm, from the files that we ship.

import type { Agent } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import { within } from '../support/deadline.ts'
import { skipsWithout, type Tool } from '../support/deploy-tools.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Front, type StartFront, startCaddy, startDebianCaddy, startNginx } from '../support/front.ts'
import { keptConnections, postTo } from '../support/front-client.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const CHAT = '/v1/chat/completions'
const STREAMS = 64
const ROUNDS = 4
const MIB = 1024 * 1024

const chat = (content: string) => ({ model: 'm', stream: true, messages: [{ role: 'user', content }] })
const event = (text: string) => `data: {"choices":[{"index":0,"delta":{"content":"${text}"}}]}\n\n`

/** A promise that a test settles. */
function gate() {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open: () => open(), opened }
}

const fronts: readonly { name: string; start: StartFront; needs: readonly Tool[] }[] = [
  { name: 'Caddy', start: startCaddy, needs: ['caddy'] },
  { name: "Debian's Caddy", start: startDebianCaddy, needs: ['debian-caddy'] },
  { name: 'nginx', start: startNginx, needs: ['nginx', 'openssl'] },
]

for (const { name, start, needs } of fronts) {
  describe.skipIf(skipsWithout(...needs))(`${name} in front of cwm`, () => {
    let running: { close(): Promise<void> }[] = []
    afterEach(async () => {
      for (const part of running.splice(0).reverse()) await part.close()
      running = []
    })

    /** An engine that sends one event, waits until the test opens the gate, and ends. */
    async function startAll(settings: Partial<Settings> = {}) {
      let held = gate()
      const engine: FakeUpstream = await startFakeUpstream(async (_, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.write(event('first'))
        await held.opened
        response.end(`${event('last')}data: [DONE]\n\n`)
      })
      const cwm: Cwm = await startCwm(engine.url, { trusted_proxies: ['127.0.0.1'], ...settings })
      const front: Front = await start(cwm.url)
      running = [engine, cwm, front]
      return { engine, cwm, front, open: () => held.open(), hold: () => (held = gate()) }
    }

    it('passes the first event on while the engine still works', async () => {
      const { front, open } = await startAll()
      const first = gate()
      const answer = postTo(front.url, CHAT, { ca: front.ca, body: chat('hello'), onText: first.open })

      await within('the first event arrives before the engine sends another one', first.opened)
      open()
      const { status, text } = await answer

      expect(status).toBe(200)
      expect(text).toContain('"first"')
      expect(text).toMatch(/data: \[DONE\]\n\n$/)
    })

    it('lets the engine know that the client has left', async () => {
      const { engine, front } = await startAll()
      const [first, leave] = [gate(), new AbortController()]
      const { signal } = leave
      const answer = postTo(front.url, CHAT, { ca: front.ca, body: chat('hello'), onText: first.open, signal })
      await within('the first event', first.opened)

      leave.abort()
      await expect(answer).rejects.toThrow(/abort/i)

      await within('the request at the engine ends', engine.received[0]?.closed ?? Promise.reject(new Error('none')))
    })

    it('passes a body of 10 MiB', async () => {
      const { engine, front, open } = await startAll({ max_body_bytes: 16 * MIB, max_body_bytes_in_all: 64 * MIB })
      open()
      const content = 'x'.repeat(10 * MIB)

      const { status } = await postTo(front.url, CHAT, { ca: front.ca, body: chat(content) })

      expect(status).toBe(200)
      expect(engine.received[0]?.body.includes(content)).toBe(true)
    })

    it('keeps the address of the client, whatever the client says', async () => {
      // One request at a time from each address. A front that hides addresses would have all clients share one slot.
      const { front, open } = await startAll({
        ...{ exempt_addresses: [], max_in_flight_per_tenant: 1, queue_ms: 0 },
      })
      const first = gate()
      const { ca } = front
      const running = postTo(front.url, CHAT, { ca, from: '127.0.0.2', body: chat('a'), onText: first.open })
      await within('the first event', first.opened)

      const forged = { 'x-forwarded-for': '192.0.2.1', authorization: 'Bearer another-key' }
      const same = await postTo(front.url, CHAT, { ca, from: '127.0.0.2', body: chat('b'), headers: forged })
      const arrived = gate()
      const other = postTo(front.url, CHAT, { ca, from: '127.0.0.3', body: chat('c'), onText: arrived.open })
      await within('the first event to another address', arrived.opened)
      open()

      expect(same.status).toBe(429)
      expect((await running).status).toBe(200)
      expect((await other).status).toBe(200)
    })

    it(`carries ${STREAMS} streams at once, and reports what it adds to their first events`, async () => {
      const { cwm, front, open, hold } = await startAll()
      const paths = [new Path(cwm.url), new Path(front.url, front.ca)] as const
      // In turns, so that a busy machine slows both.
      for (let round = 0; round <= ROUNDS; round++) {
        for (const path of paths) {
          hold()
          const answers = await path.openStreams()
          open()
          expect(await Promise.all(answers)).toEqual(Array.from({ length: STREAMS }, () => 200))
        }
      }
      const [direct, behind] = paths.map((path) => path.median())

      console.info(
        `${name}: first event, p50 of ${ROUNDS} x ${STREAMS} streams: ${direct} ms without it, ${behind} ms with it`,
      )
    })
  })
}

/** One way to cwm, with connections that are kept. */
class Path {
  readonly #url: string
  readonly #agent: Agent
  readonly #times: number[] = []

  constructor(url: string, ca?: string) {
    this.#url = url
    this.#agent = keptConnections(url, ca)
  }

  /** Opens streams one after another, each once the one before has its first event, and returns their statuses to come. */
  async openStreams(): Promise<Promise<number>[]> {
    const answers: Promise<number>[] = []
    for (let at = 0; at < STREAMS; at++) {
      const first = gate()
      const begun = performance.now()
      const answer = postTo(this.#url, CHAT, { agent: this.#agent, body: chat(`stream ${at}`), onText: first.open })
      answers.push(answer.then(({ status }) => status))
      // An answer that ends without an event has failed.
      const status = await within('the first event', Promise.race([first.opened, answer.then((got) => got.status)]))
      if (status !== undefined) throw new Error(`stream ${at} was answered ${status}`)
      this.#times.push(performance.now() - begun)
    }
    return answers
  }

  /** Of the time to the first event, milliseconds, without the first round, which opens the connections. */
  median(): string {
    this.#agent.destroy()
    const times = this.#times.slice(STREAMS).sort((a, b) => a - b)
    return (times[Math.floor(times.length / 2)] ?? Number.NaN).toFixed(2)
  }
}
