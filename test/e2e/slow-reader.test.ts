// A client that does not read slows its upstream down: what cwm buffers for it is limited, and nothing is lost when it reads again.

import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { Settings } from '../../src/config/schema.ts'
import { collectGarbage } from '../support/collect-garbage.ts'
import { user } from '../support/conversation.ts'
import { until, within } from '../support/deadline.ts'
import { metricOf, post, sendOn } from '../support/departing-client.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

let upstream: FakeUpstream
let cwm: Cwm
/** Of stalled answers: the bytes that the upstream wrote, and whether its last write is still pending. */
let flows: { written: number; waits: boolean; since: number }[] = []

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const MB = 1_000_000
const event = Buffer.from(
  `data: {"choices":[{"index":0,"delta":{"content":"${'x'.repeat(16_000)}"},"finish_reason":null}]}\n\n`,
)
const LAST = 'data: [DONE]\n\n'

/** An upstream that writes this many bytes of events, as fast as they are accepted. */
async function start(bytes: number, type: string, settings: Partial<Settings> = {}): Promise<void> {
  flows = []
  upstream = await startFakeUpstream((_, response) => {
    response.writeHead(200, { 'content-type': type })
    const flow = { written: 0, waits: false, since: 0 }
    flows.push(flow)
    pour(response, flow, bytes)
  })
  cwm = await startCwm(upstream.url, { max_held_bytes: 100_000, max_observed_bytes: 100_000, ...settings })
}

function pour(response: ServerResponse, flow: (typeof flows)[number], bytes: number): void {
  while (!response.destroyed) {
    if (flow.written >= bytes) {
      response.end(LAST)
      return
    }
    flow.written += event.length
    if (response.write(event)) continue
    flow.waits = true
    flow.since = Date.now()
    response.once('drain', () => {
      flow.waits = false
      pour(response, flow, bytes)
    })
    return
  }
}

/** A client that has sent a request and does not read. */
async function idleReader(stream: boolean): Promise<Socket> {
  const socket = await sendOn(cwm.url, post(CHAT, { model: 'm', messages: [user('hi')], stream }))
  return socket.pause()
}

/** Every upstream answer has been stalled long enough to fill all buffers in between. */
const heldBack = (count: number) =>
  until(
    `${count} answers are stalled`,
    () => flows.length === count && flows.every(({ waits, since }) => waits && Date.now() - since > 300),
    15_000,
  )

function bufferedBytes(): number {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

describe('a client that does not read', () => {
  it.each([
    ['a stream', 'text/event-stream', true],
    ['an answer too large to buffer', 'application/json', false],
  ])('stops the upstream, and ten of them need less than a megabyte each: %s', async (_, type, stream) => {
    await start(60 * MB, type)
    const before = bufferedBytes()
    const sockets = await Promise.all(Array.from({ length: 10 }, () => idleReader(stream)))

    await heldBack(sockets.length)

    // Released memory is collected at the first garbage collection or at a later one.
    await until('they take under a megabyte each', () => bufferedBytes() - before < sockets.length * MB)
    // Most of the written bytes are in the system's own buffers, of two sockets per answer.
    expect(Math.max(...flows.map(({ written }) => written))).toBeLessThan(30 * MB)
    for (const socket of sockets) socket.destroy()
    await within('the connections close', Promise.all(upstream.received.map(({ closed }) => closed)))
    expect(await metricOf(cwm.url, 'cwm_upstream_errors_total')).toBe(0)
  })

  it.each([
    ['at last', {}],
    ['later than stream_timeout_ms, which only applies to the upstream', { stream_timeout_ms: 200 }],
  ])('that then reads, %s, gets everything', async (_, settings) => {
    const bytes = 30 * MB
    await start(bytes, 'text/event-stream', settings)
    const socket = await idleReader(true)
    await heldBack(1)
    let read = 0
    let tail = ''
    socket.on('data', (chunk: Buffer) => {
      read += chunk.length
      tail = (tail + chunk.toString('latin1')).slice(-200)
      // The answer is complete, and its connection would be kept.
      if (tail.includes(LAST)) socket.end()
    })

    socket.resume()
    await within('the answer ends', once(socket, 'close'), 10_000)

    expect(read).toBeGreaterThan(bytes)
    expect(tail).toContain(LAST)
  })
})
