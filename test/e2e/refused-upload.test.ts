// A request that is rejected while its client is still sending: the client can read why, and its resources are released at once.

import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import { rawExchange } from '../support/client.ts'
import { until, within } from '../support/deadline.ts'
import { metricOf, sendOn } from '../support/departing-client.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const MIB = 1024 * 1024
const KIB = 1024

let upstream: FakeUpstream
let cwm: Cwm

async function start(settings: Partial<Settings> = {}): Promise<void> {
  upstream = await startFakeUpstream(() => {})
  cwm = await startCwm(upstream.url, settings)
}

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

async function held() {
  const [requests, slots, bytes] = await Promise.all(
    ['cwm_requests_in_flight', 'cwm_slots_in_use', 'cwm_body_bytes'].map((name) => metricOf(cwm.url, name)),
  )
  return { requests, slots, bytes }
}

const head = (path: string, lines: string, host = 'localhost') =>
  `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n${lines}\r\n\r\n`
const length = (bytes: number) => `Content-Length: ${bytes}`
const chunk = (bytes: number) => `${bytes.toString(16)}\r\n${'x'.repeat(bytes)}\r\n`

const CHAT = '/v1/chat/completions'
const CHUNKED = 'Transfer-Encoding: chunked'

describe('a rejected upload', () => {
  it.each([
    ['too large, as it says itself', { max_body_bytes: KIB }, 413, head(CHAT, length(MIB))],
    ['too large, as it shows', { max_body_bytes: KIB }, 413, head(CHAT, CHUNKED) + chunk(2 * KIB)],
    ['too large, on a plain path', { max_body_bytes: KIB }, 413, head('/tokenize', CHUNKED) + chunk(2 * KIB)],
  ])('holds neither slot nor bytes while the rest is awaited: %s', async (_, settings, status, sent) => {
    await start(settings)
    const socket = await sendOn(cwm.url, sent)

    const [answer] = (await within('the refusal', once(socket, 'data'))) as [Buffer]

    expect(answer.toString()).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(await held()).toEqual({ requests: 1, slots: 0, bytes: 0 })
    socket.destroy()
    await until('it is over', async () => (await held()).requests === 0)
    expect(await held()).toEqual({ requests: 0, slots: 0, bytes: 0 })
  })

  it('holds neither while the rest is awaited: no room beside another', async () => {
    await start({ max_body_bytes: 4 * KIB, max_body_bytes_in_all: 4 * KIB })
    const first = await sendOn(cwm.url, head(CHAT, CHUNKED) + chunk(3 * KIB))
    await until('the first is held', async () => (await held()).bytes === 3 * KIB)
    const second = await sendOn(cwm.url, head(CHAT, CHUNKED) + chunk(KIB) + chunk(KIB))

    const [answer] = (await within('the refusal', once(second, 'data'))) as [Buffer]

    expect(answer.toString()).toMatch(/^HTTP\/1\.1 429 /)
    expect(await held()).toEqual({ requests: 2, slots: 0, bytes: 3 * KIB })
    for (const socket of [first, second]) socket.destroy()
    await until('both are over', async () => (await held()).requests === 0)
    expect(await held()).toEqual({ requests: 0, slots: 0, bytes: 0 })
  })
})

// If a server closes a socket with unread bytes, the connection is reset, and the response may be lost.
describe('a client that keeps sending after a rejection can read why', () => {
  const rest = 'x'.repeat(20 * MIB)

  it.each([
    ['another host', 403, head(CHAT, length(rest.length), 'elsewhere') + rest],
    ['no host', 400, `POST ${CHAT} HTTP/1.1\r\n${length(rest.length)}\r\n\r\n${rest}`],
    ['too many headers', 431, head(CHAT, `${'x: y\r\n'.repeat(300)}${length(rest.length)}`) + rest],
    ['a header too large', 431, head(CHAT, `x: ${rest}`)],
    ['no HTTP', 400, `what is this?\r\n${rest}`],
    [
      'an upgrade, of another host',
      403,
      head(CHAT, `Connection: upgrade\r\nUpgrade: h2c\r\n${length(rest.length)}`, 'elsewhere') + rest,
    ],
  ])('%s', async (_, status, sent) => {
    await start()

    const answer = await rawExchange(cwm.url, sent)

    expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} .*"error"`, 's'))
    expect(answer.match(/HTTP\/1\.1 \d/g)).toHaveLength(1)
  })
})
