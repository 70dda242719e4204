// Bodies that are announced and sent slowly, or not at all: they hold neither slots nor bytes that did not arrive, and are given up.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../../src/config/schema.ts'
import { ask } from '../../support/client.ts'
import { user } from '../../support/conversation.ts'
import { until, within } from '../../support/deadline.ts'
import { metricOf } from '../../support/departing-client.ts'
import { chatAnswer, type FakeUpstream, sayJson, startFakeUpstream } from '../../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../../support/stack.ts'

const MIB = 1024 * 1024
const CHAT = '/v1/chat/completions'

let upstream: FakeUpstream
let cwm: Cwm
let sockets: Socket[]

async function start(settings: Partial<Settings> = {}): Promise<void> {
  sockets = []
  upstream = await startFakeUpstream((_, response) => sayJson(response, chatAnswer('done')))
  cwm = await startCwm(upstream.url, settings)
}

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await cwm.close()
  await upstream.close()
})

/** Sends headers that announce a body, and the beginning of it. */
async function announce(
  bytes: number,
  sent: string | Buffer = '',
  { path = CHAT, method = 'POST', key = '', from = '127.0.0.1' } = {},
) {
  const socket = connect({ port: Number(new URL(cwm.url).port), host: '127.0.0.1', localAddress: from })
  sockets.push(socket)
  socket.on('error', () => {})
  await once(socket, 'connect')
  const auth = key === '' ? '' : `Authorization: Bearer ${key}\r\n`
  socket.write(
    `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${auth}Content-Type: application/json\r\nContent-Length: ${bytes}\r\n\r\n`,
  )
  socket.write(sent)
  return socket
}

/** Everything that cwm answers on a socket until it closes the connection. */
async function answerOn(socket: Socket): Promise<string> {
  let text = ''
  socket.on('data', (bytes: Buffer) => (text += bytes.toString()))
  socket.on('end', () => socket.end())
  await within('the connection closes', once(socket, 'close'), 10_000)
  return text
}

const turn = () => ask(cwm.url, CHAT, { body: { model: 'm', messages: [user('hi')] } })
const received = (bytes: number) =>
  until(`${bytes} bytes of bodies`, async () => (await metricOf(cwm.url, 'cwm_body_bytes')) === bytes)

describe('a body that was announced', () => {
  it('takes no slot before it has arrived', async () => {
    await start({ max_in_flight: 2, queue_ms: 0 })
    for (let i = 0; i < 3; i++) await announce(100, '{')
    await received(3)

    expect((await turn()).status).toBe(200)
    expect(await metricOf(cwm.url, 'cwm_slots_in_use')).toBe(0)
  })

  it('counts as it arrives: others are served, whatever length eight new keys announced', async () => {
    await start({ max_body_bytes: MIB, max_body_bytes_in_all: 2 * MIB })
    for (let i = 0; i < 8; i++) await announce(MIB, '{', { key: `key-${i}` })
    await received(8)

    expect((await turn()).status).toBe(200)
  })

  it('counts for its address where keys are free, so that new keys bring no new shares', async () => {
    await start({ max_body_bytes: MIB, max_body_bytes_in_all: 2 * MIB, exempt_addresses: [] })
    const most = Buffer.alloc(MIB - 1, ' ')
    await announce(MIB, most, { key: 'key-1' })
    await received(MIB - 1)

    const second = await announce(MIB, most, { key: 'key-2' })

    expect(await answerOn(second)).toMatch(/^HTTP\/1\.1 429 .*max_body_bytes_in_all/s)
    await announce(MIB, Buffer.alloc(MIB / 2, ' '), { key: 'key-2', from: '127.0.0.2' })
    await received(MIB - 1 + MIB / 2)
  })
})

describe('a body slower than min_body_bytes_per_second after body_grace_ms', () => {
  const slow = { body_grace_ms: 100, min_body_bytes_per_second: 1_000_000 }

  it.each([
    ['of a chat', { path: CHAT }, /"error":\{"message":"[^"]+","type":"invalid_request_error"/],
    [
      'of a message, in its dialect',
      { path: '/v1/messages' },
      /"type":"error","error":\{"type":"invalid_request_error"/,
    ],
    ['of a plain path', { path: '/tokenize' }, /"error"/],
    ['of REST', { path: '/cwm/v1/windows/w', method: 'PUT' }, /"error"/],
    ['of a short REST call', { path: '/cwm/v1/windows' }, /"error"/],
  ])('gets 408, and its connection closes: %s', async (_, options, shape) => {
    await start(slow)
    const socket = await announce(50_000, '{', options)

    const answer = await answerOn(socket)

    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(answer).toMatch(shape)
    expect(answer).toContain('min_body_bytes_per_second')
    expect(answer.toLowerCase()).toContain('connection: close')
    await received(0)
  })

  it('is not one that arrives in time, or before the grace time is over', async () => {
    await start({ body_grace_ms: 60_000, min_body_bytes_per_second: 1_000_000 })
    const text = JSON.stringify({ model: 'm', messages: [user('hi')] })
    const socket = await announce(text.length, text.slice(0, 5))
    await received(5)

    socket.write(text.slice(5))

    const [answer] = (await within('the answer', once(socket, 'data'))) as [Buffer]
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 200 /)
  })
})
