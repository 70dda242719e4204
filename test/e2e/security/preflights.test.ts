// OPTIONS needs no key, so its body never reaches the engine and its number is limited. cwm's own errors repeat what the engine's answers
// allow, to the same pages only.

import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { ask, errorOf, type Got, rawExchange } from '../../support/client.ts'
import { until } from '../../support/deadline.ts'
import { metricOf, sendOn } from '../../support/departing-client.ts'
import { type FakeUpstream, startFakeUpstream } from '../../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../../support/stack.ts'

const CHAT = '/v1/chat/completions'
const PAGE = 'https://app.example'
const OTHER = 'https://other.example'

let upstream: FakeUpstream
let cwm: Cwm

/** `answer`: the engine's answer to a preflight. */
async function start(answer: (response: ServerResponse, origin: string) => void, settings = {}): Promise<void> {
  upstream = await startFakeUpstream(({ headers }, response) => answer(response, headers.origin ?? ''))
  cwm = await startCwm(upstream.url, settings)
}

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

const preflight = (origin: string, path = CHAT) =>
  ask(cwm.url, path, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } })
const failing = (origin: string) => ask(cwm.url, CHAT, { body: 'no JSON', headers: { origin } })

const exposedIn = ({ headers }: Got) => String(headers['access-control-expose-headers']).split(', ')
const sentRates = ({ headers }: Got) => Object.keys(headers).filter((name) => name.startsWith('x-ratelimit-'))

/** What Starlette's CORSMiddleware answers for a list of origins, with credentials. */
const allowing =
  (...origins: string[]) =>
  (response: ServerResponse, origin: string) => {
    const headers = { 'access-control-allow-credentials': 'true', vary: 'Origin' }
    if (origins.includes(origin)) response.writeHead(200, { ...headers, 'access-control-allow-origin': origin })
    else response.writeHead(400, headers)
    response.end()
  }

describe('a preflight with a body', () => {
  it.each([
    ['with a length', 'Content-Length: 5\r\n\r\nhello'],
    ['in chunks', 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
    ['that is a request itself', 'Content-Length: 44\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n'],
  ])('%s is rejected, and its connection ends', async (_, rest) => {
    await start(allowing(PAGE))

    const answer = await rawExchange(
      cwm.url,
      `OPTIONS ${CHAT} HTTP/1.1\r\nHost: localhost\r\nOrigin: ${PAGE}\r\n${rest}`,
    )

    expect(answer).toMatch(/^HTTP\/1\.1 400 .*connection: close.*"code":"not_supported"/is)
    expect(answer.match(/HTTP\/1\.1 \d/g)).toHaveLength(1)
    expect(upstream.received).toEqual([])
  })

  it('that never arrives blocks nothing of the engine', async () => {
    await start(allowing(PAGE))
    const before = upstream.connections()
    const head = `OPTIONS ${CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n`
    const sockets = await Promise.all(Array.from({ length: 20 }, () => sendOn(cwm.url, head)))
    for (const socket of sockets) await until('the refusal', () => socket.read() !== null)

    expect(upstream.connections()).toBe(before)
    for (const socket of sockets) socket.destroy()
  })
})

describe('preflights under way', () => {
  it('are limited, and release their slots', async () => {
    const held: ServerResponse[] = []
    await start((response) => void held.push(response), { max_preflights: 2 })
    const first = [preflight(PAGE), preflight(PAGE)]
    await until('both are at the engine', () => held.length === 2)

    const refused = await preflight(PAGE)

    expect(refused.status).toBe(429)
    expect(errorOf(refused)).toMatchObject({ code: 'overloaded' })
    expect(errorOf(refused).message).toContain('max_preflights')
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
    expect(await metricOf(cwm.url, 'cwm_refused_requests_total')).toBe(1)
    for (const response of held.splice(0)) response.end()
    await Promise.all(first)
    const next = preflight(PAGE)
    await until('the next is at the engine', () => held[0])
    held[0]?.end()
    expect((await next).status).toBe(200)
  })

  it('release their slots when the client disconnects', async () => {
    await start(() => {}, { max_preflights: 1 })
    const gone = await sendOn(cwm.url, `OPTIONS ${CHAT} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await until('it is at the engine', () => upstream.received[0])
    gone.destroy()
    await upstream.received[0]?.closed

    const next = await sendOn(cwm.url, `OPTIONS ${CHAT} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    await until('the next is at the engine', () => upstream.received[1])
    next.destroy()
  })
})

describe('an error of cwm’s own', () => {
  it('can be read by a page that the engine allowed, and by no other', async () => {
    await start(allowing(PAGE))
    expect((await failing(PAGE)).headers).not.toHaveProperty('access-control-allow-origin')
    await preflight(PAGE)
    await preflight(OTHER)

    const { status, headers } = await failing(PAGE)

    expect(status).toBe(400)
    expect(headers).toMatchObject({
      'access-control-allow-origin': PAGE,
      'access-control-allow-credentials': 'true',
      vary: 'Origin',
    })
    expect(headers['access-control-expose-headers']).toContain('x-cwm-request-id')
    expect((await failing(OTHER)).headers).not.toHaveProperty('access-control-allow-origin')
    expect((await ask(cwm.url, CHAT, { body: 'no JSON' })).headers).not.toHaveProperty('access-control-allow-origin')
  })

  it('can be read after an answer of the engine, because the preflight may have gone to another proxy', async () => {
    await start(allowing(PAGE))
    const body = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }

    await ask(cwm.url, CHAT, { body, headers: { origin: PAGE } })
    await ask(cwm.url, CHAT, { body, headers: { origin: OTHER } })

    expect((await failing(PAGE)).headers).toMatchObject({ 'access-control-allow-origin': PAGE, vary: 'Origin' })
    expect((await failing(OTHER)).headers).not.toHaveProperty('access-control-allow-origin')
  })

  it('shows pages how long to wait, and what is left of a rate limit', async () => {
    await start(allowing(PAGE), { requests_per_minute: 1 })
    await preflight(PAGE)
    const body = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }

    const [accepted, rejected] = [
      await ask(cwm.url, CHAT, { body, headers: { origin: PAGE } }),
      await ask(cwm.url, CHAT, { body, headers: { origin: PAGE } }),
    ]

    expect([accepted.status, rejected.status]).toEqual([200, 429])
    expect(exposedIn(accepted)).toEqual(expect.arrayContaining(sentRates(accepted)))
    expect(exposedIn(rejected)).toEqual(expect.arrayContaining(['retry-after', ...sentRates(rejected)]))
    expect(sentRates(rejected)).toHaveLength(3)
  })

  it.each([
    ['an unknown path', '/v1/none', 'POST', 404],
    ['a wrong method', CHAT, 'GET', 405],
  ])('has the CORS headers for %s', async (_, path, method, status) => {
    await start(allowing(PAGE))
    await preflight(PAGE)

    const got = await ask(cwm.url, path, { method, headers: { origin: PAGE } })

    expect([got.status, got.headers['access-control-allow-origin']]).toEqual([status, PAGE])
  })

  it("repeats the engine's headers: any origin, without credentials", async () => {
    await start((response) => response.writeHead(200, { 'access-control-allow-origin': '*' }).end())
    await preflight(PAGE)

    const { headers } = await failing(PAGE)

    expect(headers['access-control-allow-origin']).toBe('*')
    expect(headers).not.toHaveProperty('access-control-allow-credentials')
  })

  it('stops repeating them once the engine does', async () => {
    const origins = [PAGE]
    await start((response, origin) => allowing(...origins)(response, origin))
    await preflight(PAGE)
    origins.pop()
    await preflight(PAGE)

    expect((await failing(PAGE)).headers).not.toHaveProperty('access-control-allow-origin')
  })

  it('remembers the hundred most recently used origins', async () => {
    await start((response, origin) => response.writeHead(200, { 'access-control-allow-origin': origin }).end())
    for (let i = 0; i < 100; i++) await preflight(`https://${i}.example`)
    await failing('https://0.example')
    await preflight('https://100.example')

    const allowed = async (i: number) => (await failing(`https://${i}.example`)).headers['access-control-allow-origin']

    expect([await allowed(0), await allowed(1), await allowed(100)]).toEqual([
      'https://0.example',
      undefined,
      'https://100.example',
    ])
  })
})
