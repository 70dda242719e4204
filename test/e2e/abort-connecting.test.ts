// A client that disconnects while cwm connects to the upstream for it; the upstream's system does not answer the SYN meanwhile.

import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { BlockedListener } from '../support/blocked-listener.ts'
import { ask } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { until, within } from '../support/deadline.ts'
import { metricOf, post, sendOn } from '../support/departing-client.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

let upstream: BlockedListener
let cwm: Cwm

beforeEach(async () => {
  upstream = await BlockedListener.start()
  cwm = await startCwm(upstream.url, { connections: 1, connect_timeout_ms: 3_000 })
  await upstream.block()
})

afterEach(async () => {
  upstream.release()
  await cwm.close()
  await upstream.close()
})

const CHAT = '/v1/chat/completions'
const chat = (text: string) => ({ model: 'm', messages: [user(text)] })

/** undici's connection events: `beforeConnect`, `connected`, `connectError`. */
async function undiciTells(what: string): Promise<void> {
  const channel = `undici:client:${what}`
  let tell = () => {}
  const told = new Promise<void>((resolve) => {
    tell = resolve
  })
  subscribe(channel, tell)
  await within(`undici tells ${what}`, told, 8_000).finally(() => unsubscribe(channel, tell))
}

async function leaveWhileConnecting(): Promise<void> {
  const connecting = undiciTells('beforeConnect')
  const socket = await sendOn(cwm.url, post(CHAT, chat('gone')))
  await connecting

  socket.destroy()

  await until('no request in flight', async () => (await metricOf(cwm.url, 'cwm_requests_in_flight')) === 0)
}

async function expectNothingAgainstUpstream(): Promise<void> {
  expect(await metricOf(cwm.url, 'cwm_client_gone_total')).toBe(1)
  expect(await metricOf(cwm.url, 'cwm_upstream_errors_total')).toBe(0)
  expect(await metricOf(cwm.url, 'cwm_upstream_retries_total')).toBe(0)
}

describe('a client that disconnects while its request waits for a new connection', () => {
  it('gets nothing sent, and the connection serves the next request', async () => {
    await leaveWhileConnecting()
    const next = ask(cwm.url, CHAT, { body: chat('next') })

    upstream.release()

    expect((await next).status).toBe(200)
    expect(upstream.bodies.map((body) => /gone|next/.exec(body)?.[0])).toEqual(['next'])
    await expectNothingAgainstUpstream()
  })

  it('does not count a failed connection as a failure of the upstream, and frees its place for the next request', async () => {
    const failed = undiciTells('connectError')
    await leaveWhileConnecting()

    await failed
    await expectNothingAgainstUpstream()

    upstream.release()
    expect((await ask(cwm.url, CHAT, { body: chat('next') })).status).toBe(200)
    expect(upstream.bodies.map((body) => /gone|next/.exec(body)?.[0])).toEqual(['next'])
  })
})
