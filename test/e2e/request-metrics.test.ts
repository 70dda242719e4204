// Metrics of requests: the first byte is that of the body, and upstream errors are only those of the upstream.

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import { ask, errorOf, rawExchange } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { metricOf, post, sendOn } from '../support/departing-client.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const CHAT = '/v1/chat/completions'
const body = { model: 'm', messages: [user('hi')], stream: true }

let upstream: FakeUpstream
let cwm: Cwm
let answers: ServerResponse[]

async function start(settings: Partial<Settings> = {}): Promise<void> {
  answers = []
  upstream = await startFakeUpstream((_, response) => void answers.push(response))
  cwm = await startCwm(upstream.url, settings)
}

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

const metric = (name: string): Promise<number> => metricOf(cwm.url, name)
const asked = (): Promise<ServerResponse> => until('a request at the upstream', () => answers[0])

it("observes the time to a stream's first byte with its first event, not with its headers", async () => {
  await start()
  const socket = await sendOn(cwm.url, post(CHAT, body))
  const answer = await asked()
  answer.writeHead(200, { 'content-type': 'text/event-stream' })
  answer.flushHeaders()
  const [head] = (await once(socket, 'data')) as [Buffer]
  const before = await metric('cwm_ttft_seconds_count')

  answer.write('data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n')
  await once(socket, 'data')
  answer.write('data: {"choices":[{"index":0,"delta":{"content":"b"},"finish_reason":null}]}\n\n')
  await once(socket, 'data')

  expect(head.toString()).toMatch(/^HTTP\/1\.1 200 /)
  expect([before, await metric('cwm_ttft_seconds_count')]).toEqual([0, 1])
  socket.destroy()
})

describe('an upstream error is not counted for', () => {
  it('a session that is ended', async () => {
    await start()
    const turn = ask(cwm.url, CHAT, { body, headers: { 'x-cwm-session': 'ann' } })
    await asked()

    await ask(cwm.url, '/cwm/v1/sessions/ann', { method: 'DELETE' })

    expect(errorOf(await turn).code).toBe('session_ended')
    expect(await metric('cwm_upstream_errors_total')).toBe(0)
  })

  it('a body that exceeds the limit while it is being forwarded', async () => {
    await start({ max_body_bytes: 1024 })
    const chunk = `7d0\r\n${'x'.repeat(0x7d0)}\r\n`
    const got = await rawExchange(
      cwm.url,
      `POST /tokenize HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\n\r\n`,
    )

    expect(got).toMatch(/^HTTP\/1\.1 413 /)
    expect(await metric('cwm_upstream_errors_total')).toBe(0)
  })
})

it('an upstream that dies counts as an error, under its code', async () => {
  await start()
  const turn = ask(cwm.url, CHAT, { body })
  ;(await asked()).destroy()

  expect(errorOf(await turn).code).toBe('upstream_broken')
  expect((await ask(cwm.url, '/cwm/metrics')).text).toContain('cwm_upstream_errors_total{code="upstream_broken"} 1\n')
})
