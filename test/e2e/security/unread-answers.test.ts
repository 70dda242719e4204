// Answers whose client does not read them: what waits for it counts in its share of max_observed_bytes_in_all, and nobody else's.

import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import type { Settings } from '../../../src/config/schema.ts'
import { ask, errorOf } from '../../support/client.ts'
import { collectGarbage } from '../../support/collect-garbage.ts'
import { user } from '../../support/conversation.ts'
import { until } from '../../support/deadline.ts'
import { metricOf, post } from '../../support/departing-client.ts'
import { chatAnswer, type FakeUpstream, startFakeUpstream } from '../../support/fake-upstream.ts'
import { rest } from '../../support/rest.ts'
import { type Cwm, startCwm, startStack } from '../../support/stack.ts'

const MIB = 1024 * 1024
const CHAT = '/v1/chat/completions'
const LARGE = Buffer.from(chatAnswer('x'.repeat(15 * MIB)))
const SMALL = Buffer.from(chatAnswer('done'))

let upstream: FakeUpstream | undefined
let cwm: Cwm
const sockets: Socket[] = []

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await cwm.close()
  await upstream?.close()
  upstream = undefined
})

async function start(settings: Partial<Settings>): Promise<void> {
  upstream = await startFakeUpstream(({ body }, response) => {
    const bytes = body.includes('large') ? LARGE : SMALL
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': bytes.length })
    response.end(bytes)
  })
  cwm = await startCwm(upstream.url, settings)
}

/** Sends a request, and reads nothing of its answer. */
async function sendUnread(request: string): Promise<Socket> {
  const socket = connect(Number(new URL(cwm.url).port), '127.0.0.1')
  sockets.push(socket)
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.pause()
  socket.write(request)
  return socket
}

const large = () => post(CHAT, { model: 'm', messages: [user('large')] })
const answerBytes = () => metricOf(cwm.url, 'cwm_answer_bytes')

/** The answers have come to a stop: what is held for them has not changed for some rounds. */
async function stalled(): Promise<number> {
  let last = -1
  let rounds = 0
  await until(
    'the answers are stalled',
    async () => {
      const now = await answerBytes()
      rounds = now > 0 && now === last ? rounds + 1 : 0
      last = now
      return rounds > 20
    },
    20_000,
  )
  return last
}

it('JSON answers that are not read take half of the budget, and another tenant is still served with held answers', async () => {
  await start({ max_observed_bytes_in_all: 64 * MIB })
  collectGarbage()
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 12; i++) await sendUnread(large())

  const held = await stalled()

  expect(held).toBeGreaterThan(10 * MIB)
  expect(held).toBeLessThanOrEqual(32 * MIB)
  collectGarbage()
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * MIB)
  const unread = await metricOf(cwm.url, 'cwm_unobserved_answers_total')
  const other = await ask(cwm.url, CHAT, {
    body: { model: 'm', messages: [user('hi')] },
    headers: { authorization: 'Bearer another' },
  })
  expect(other.status).toBe(200)
  expect(await metricOf(cwm.url, 'cwm_unobserved_answers_total')).toBe(unread)
  for (const socket of sockets.splice(0)) socket.destroy()
  await until('nothing is held', async () => (await answerBytes()) === 0)
}, 60_000)

it('a held answer counts until its client has read it, and comes whole', async () => {
  await start({ max_observed_bytes_in_all: 64 * MIB })
  const socket = await sendUnread(large())
  expect(await stalled()).toBeGreaterThan(15 * MIB)
  let read = 0
  socket.on('data', (bytes: Buffer) => {
    read += bytes.length
  })

  socket.resume()

  await until('nothing is held', async () => (await answerBytes()) === 0)
  await until('it is complete', () => read > LARGE.length)
}, 60_000)

it('a client that reads nothing is disconnected after client_stall_ms, and its answer no longer counts', async () => {
  await start({ max_observed_bytes_in_all: 64 * MIB, client_stall_ms: 300 })
  await sendUnread(large())

  await until('it was held', async () => (await answerBytes()) > MIB)
  await until('nothing is held', async () => (await answerBytes()) === 0)
  expect(await metricOf(cwm.url, 'cwm_stalled_clients_total')).toBe(1)
})

it('exports of REST count too: more than half of the budget is refused, and read ones are released', async () => {
  const sim = { maxModelLen: 100_000, decodeTokensPerSecond: 4 }
  cwm = await startStack({ sim, settings: { max_observed_bytes_in_all: MIB } })
  await rest(cwm.url, 'PUT', '/windows/w', { model: 'sim-model', messages: [user('word '.repeat(40_000))] })
  // The export waits behind a stream that takes minutes.
  const stream = post(CHAT, { model: 'sim-model', messages: [user('hi')], stream: true, max_tokens: 1_000 })
  await sendUnread(`${stream}GET /cwm/v1/windows/w/export HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  await until('it is held', async () => (await answerBytes()) > 300_000)

  const second = await ask(cwm.url, '/cwm/v1/windows/w/export')

  expect([second.status, errorOf(second).code]).toEqual([429, 'overloaded'])
  expect(errorOf(second).message).toContain('max_observed_bytes_in_all')
  sockets.splice(0)[0]?.destroy()
  await until('nothing is held', async () => (await answerBytes()) === 0)
  expect((await ask(cwm.url, '/cwm/v1/windows/w/export')).status).toBe(200)
}, 60_000)
