// The circuit breaker, over real sockets: what opens it, what does not, what clients receive, and how it closes.

import type { Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import { ask, errorOf, type Got, jsonOf } from '../support/client.ts'
import { askChat, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { chatAnswer } from '../support/fake-upstream.ts'
import { answer, freePort, type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

/** Longer than any test, so that only a health probe closes it. */
const FOR_EVER = 600_000

let cwm: Cwm | undefined
let upstream: RawUpstream | undefined

afterEach(async () => {
  await cwm?.close()
  await upstream?.close()
  cwm = upstream = undefined
})

/** cwm with an upstream port where nothing listens; `up` starts an engine there. */
async function startBeforeNobody(settings: Partial<Settings> = {}): Promise<{ url: string; up: () => Promise<void> }> {
  const port = await freePort()
  cwm = await startCwm(`http://127.0.0.1:${port}`, { breaker_failures: 3, breaker_open_ms: FOR_EVER, ...settings })
  return {
    url: cwm.url,
    up: async () => {
      upstream = await startRawUpstream((socket) => socket.write(answer(200, chatAnswer('back'))), port)
    },
  }
}

/** cwm with an engine that handles each request by the given function. */
async function startBefore(
  behave: (socket: Socket, request: string, count: number) => void,
  settings: Partial<Settings> = {},
): Promise<string> {
  upstream = await startRawUpstream(behave)
  cwm = await startCwm(upstream.url, { breaker_failures: 3, breaker_open_ms: FOR_EVER, ...settings })
  return cwm.url
}

const turn = (url: string): Promise<Got> => askChat(url, [user('Are you there?')])

async function stateOf(url: string): Promise<number> {
  const { text } = await ask(url, '/cwm/metrics')
  return Number(/^cwm_upstream_breaker_state (\d)$/m.exec(text)?.[1])
}

async function openByRefusals(url: string): Promise<void> {
  await until('it is open', async () => (await turn(url)).status === 503)
}

describe('an upstream that refuses connections', () => {
  it('gets no more requests: clients get 503 at once, with Retry-After, in the dialect of the path', async () => {
    const { url } = await startBeforeNobody()
    const first = await turn(url)
    await openByRefusals(url)

    const chat = await turn(url)
    const messages = await ask(url, '/v1/messages', { body: { model: 'm', messages: [user('?')], max_tokens: 5 } })
    const plain = await ask(url, '/v1/messages/count_tokens', { body: { model: 'm', messages: [] } })

    expect(errorOf(first).code).toBe('upstream_refused')
    for (const got of [chat, messages]) {
      expect(got.status).toBe(503)
      expect(Number(got.headers['retry-after'])).toBeGreaterThan(FOR_EVER / 1_000 / 2)
    }
    expect(errorOf(chat)).toMatchObject({ code: 'upstream_open', type: 'upstream_error' })
    expect(errorOf(chat).message).toContain('is the engine running?')
    expect(jsonOf(messages)).toMatchObject({
      type: 'error',
      error: { type: 'overloaded_error', code: 'upstream_open' },
    })
    expect([plain.status, await stateOf(url)]).toEqual([503, 2])
  })

  it('is tested by one request when the time is over, and gets all requests after its answer', async () => {
    const { url, up } = await startBeforeNobody({ breaker_open_ms: 50 })
    await openByRefusals(url)
    await up()

    const back = await until('a probe is answered', async () => {
      const got = await turn(url)
      return got.status === 200 && got
    })

    expect(back.text).toContain('back')
    expect([await stateOf(url), (await turn(url)).status]).toEqual([0, 200])
  })

  it('is still probed for health, which closes the breaker', async () => {
    const { url, up } = await startBeforeNobody()
    await openByRefusals(url)
    const down = await ask(url, '/cwm/v1/health')
    await up()
    // Probes are at least a second apart.
    const later = vi.spyOn(Date, 'now').mockReturnValue(Date.now() + 1_000)

    const health = await ask(url, '/cwm/v1/health')
    later.mockRestore()

    expect([down.status, jsonOf(down).upstream]).toMatchObject([503, { ok: false, breaker: 'open' }])
    expect([health.status, jsonOf(health).upstream]).toMatchObject([200, { ok: true, breaker: 'closed' }])
    expect((await turn(url)).status).toBe(200)
  })

  it('is reported unreachable after a failed turn, before the breaker opens', async () => {
    const { url } = await startBeforeNobody({ breaker_failures: 5 })

    const before = jsonOf(await ask(url, '/cwm/readyz'))
    await turn(url)
    const after = jsonOf(await ask(url, '/cwm/readyz'))

    expect(after).toMatchObject({ status: 'ready', upstream: { ok: false, state: 'failed', breaker: 'closed' } })
    // Discovery at startup failed too.
    expect(before).toMatchObject({ upstream: { ok: false } })
  })

  it('makes cwm not ready until it is back, without any request', async () => {
    const { url, up } = await startBeforeNobody()
    await openByRefusals(url)
    const down = await ask(url, '/cwm/readyz')
    const excluded = await ask(url, '/cwm/readyz?exclude=upstream&exclude=store')
    const misspelt = await ask(url, '/cwm/readyz?exclude=engine')
    await up()

    const ready = await ask(url, '/cwm/readyz')

    expect([down.status, jsonOf(down)]).toMatchObject([503, { status: 'not_ready', upstream: { ok: false } }])
    expect([misspelt.status, errorOf(misspelt).code]).toEqual([400, 'invalid_field'])
    expect([excluded.status, jsonOf(excluded)]).toMatchObject([200, { status: 'ready', upstream: { ok: false } }])
    expect([ready.status, jsonOf(ready)]).toMatchObject([200, { status: 'ready', upstream: { breaker: 'closed' } }])
  })

  it('gets every request if breaker_failures is 0', async () => {
    const { url } = await startBeforeNobody({ breaker_failures: 0 })

    for (let n = 0; n < 8; n++) expect((await turn(url)).status).toBe(502)

    expect(await stateOf(url)).toBe(0)
  })
})

describe('the breaker', () => {
  it('opens after connections that are reset before an answer', async () => {
    const url = await startBefore((socket) => socket.resetAndDestroy())

    await openByRefusals(url)

    expect(await stateOf(url)).toBe(2)
  })

  it.each([
    ['server errors', (socket: Socket) => socket.write(answer(500, '{"error":{}}'))],
    ['429', (socket: Socket) => socket.write(answer(429, '{"error":{}}', ['retry-after: 7']))],
    [
      'answers that break off',
      (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', () => socket.destroy()),
    ],
    ['answers that are not HTTP', (socket: Socket) => socket.write('* OK IMAP ready\r\n')],
  ] as const)('stays closed for %s', async (_, behave) => {
    const url = await startBefore(behave, { breaker_failures: 1 })

    for (let n = 0; n < 2; n++) expect((await turn(url)).status).not.toBe(503)

    expect(await stateOf(url)).toBe(0)
  })

  it('stays closed after late answers', async () => {
    const url = await startBefore(() => {}, { headers_timeout_ms: 20, breaker_failures: 1 })

    expect((await turn(url)).status).toBe(504)

    expect(await stateOf(url)).toBe(0)
  })

  it('stays closed after clients that leave before the answer', async () => {
    const url = await startBefore(() => {}, { breaker_failures: 1 })
    const gone = new AbortController()
    const asked = ask(url, '/v1/chat/completions', { body: { model: 'm', messages: [] }, signal: gone.signal })
    await until('the upstream has it', () => upstream?.requests.length === 1)

    gone.abort()

    await expect(asked).rejects.toThrow()
    await until('the upstream sees it go', () => upstream?.sockets.some(({ destroyed }) => destroyed))
    expect(await stateOf(url)).toBe(0)
  })
})
