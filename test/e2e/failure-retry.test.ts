// Which failed requests are sent once more, as seen by clients and operators. upstream.test.ts covers each connection.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, describe, expect, it } from 'vitest'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { metricOf } from '../support/departing-client.ts'
import { answer, freePort, type RawUpstream, startRawUpstream } from '../support/raw-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

let upstream: RawUpstream | undefined
let cwm: Cwm

afterEach(async () => {
  await cwm.close()
  await upstream?.close()
  upstream = undefined
})

const messages = [user('hi')]
const paths = [
  ['/v1/chat/completions', { model: 'm', messages }],
  ['/v1/completions', { model: 'm', prompt: 'hi' }],
  ['/v1/responses', { model: 'm', input: 'hi' }],
  ['/v1/messages', { model: 'm', max_tokens: 5, messages }],
] as const
const [[CHAT, chat]] = paths

const counted = async () => ({
  retries: await metricOf(cwm.url, 'cwm_upstream_retries_total'),
  errors: await metricOf(cwm.url, 'cwm_upstream_errors_total'),
})

describe('an engine that does not listen', () => {
  it('is a 502 after one retry', async () => {
    cwm = await startCwm(`http://127.0.0.1:${await freePort()}`)
    const before = await counted()

    const got = await ask(cwm.url, CHAT, { body: chat })

    expect([got.status, errorOf(got).code]).toEqual([502, 'upstream_refused'])
    const after = await counted()
    expect([after.retries - before.retries, after.errors - before.errors]).toEqual([1, 1])
  })

  it('that comes back in time answers normally', async () => {
    const port = await freePort()
    cwm = await startCwm(`http://127.0.0.1:${port}`)
    const before = await counted()
    let started: Promise<RawUpstream> | undefined
    const comeBack = () => {
      started ??= startRawUpstream((socket) => socket.write(answer(200, '{"choices":[]}')), port)
    }
    subscribe('undici:client:connectError', comeBack)

    const got = await ask(cwm.url, CHAT, { body: chat }).finally(() => {
      unsubscribe('undici:client:connectError', comeBack)
    })

    upstream = await started
    expect([got.status, upstream?.requests.length]).toEqual([200, 1])
    const after = await counted()
    expect([after.retries - before.retries, after.errors - before.errors]).toEqual([1, 0])
  })
})

describe('a turn that the engine has received', () => {
  it.each(
    paths.flatMap(([path, body]) => [true, false].map((stream) => ({ path, stream, body: { ...body, stream } }))),
  )('is not sent again if the connection is reset before an answer: $path, stream $stream', async ({ path, body }) => {
    upstream = await startRawUpstream((socket) => socket.resetAndDestroy())
    cwm = await startCwm(upstream.url)

    const got = await ask(cwm.url, path, { body })

    const { error } = jsonOf<{ error: { code: string } }>(got)
    expect([got.status, error.code, upstream.requests.length]).toEqual([502, 'upstream_broken', 1])
    expect(await counted()).toEqual({ retries: 0, errors: 1 })
  })
})
