// An event too long to buffer passes in parts: in order, and a break within it still ends with a separate error event.

import { afterEach, describe, expect, it } from 'vitest'
import { ask } from '../support/client.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const MIB = 1024 * 1024
const finish = 'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
const long = `data: {"choices":[{"index":1,"delta":{"content":"${'x'.repeat(2 * MIB)}"},"finish_reason":null}]}\n\n`
const body = { model: 'm', messages: [{ role: 'user', content: 'hi' }], stream: true }

let upstream: FakeUpstream
let cwm: Cwm

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

async function start(parts: readonly string[], broken: boolean): Promise<void> {
  upstream = await startFakeUpstream((_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (const part of parts) response.write(part)
    if (broken) setImmediate(() => response.destroy())
    else response.end()
  })
  cwm = await startCwm(upstream.url)
}

describe('an event of two mebibytes', () => {
  it('does not overtake events that wait for the usage event', async () => {
    const usage = 'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
    await start([finish, long.slice(0, MIB + 9), long.slice(MIB + 9), usage, 'data: [DONE]\n\n'], false)

    const got = await ask(cwm.url, '/v1/chat/completions', { body })

    expect(got.text === `${finish}${long}data: [DONE]\n\n`).toBe(true)
  })

  it('that breaks off is followed by an error event on its own lines', async () => {
    await start([long.slice(0, MIB + 9_000)], true)

    const got = await ask(cwm.url, '/v1/chat/completions', { body })

    const events = got.text.split('\n\n')
    expect(got.clean).toBe(false)
    expect(JSON.parse(events[1]?.slice('data: '.length) ?? '')).toMatchObject({ error: { code: 'upstream_broken' } })
  })
})
