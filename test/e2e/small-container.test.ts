// The default budgets of a container with 512 MiB: what still fits.

import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { memoryBudgets } from '../../src/config/memory.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { chat, user } from '../support/conversation.ts'
import { chatAnswer, type FakeUpstream, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { rest } from '../support/rest.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const MIB = 1024 * 1024
const SESSIONS = 100
const TEXT_BYTES = 512_000

let upstream: FakeUpstream
let cwm: Cwm
let text: string

/** English documentation, starting at another place for each session. */
const textOf = (session: number) => text.slice(session * 1000, session * 1000 + TEXT_BYTES)
const sessions = Array.from({ length: SESSIONS }, (_, session) => session)

beforeAll(async () => {
  const pages = ['operating', 'security', 'rest', 'http-api', 'near-limit', 'architecture']
  const read = await Promise.all(pages.map((page) => readFile(`docs/${page}.md`, 'latin1')))
  text = read.join('\n').repeat(10)
  upstream = await startFakeUpstream((_, response) => {
    // 50 MB that this test does not need.
    upstream.received.length = 0
    sayJson(response, chatAnswer('yes'))
  })
  const settings = memoryBudgets({}, { memoryBytes: 512 * MIB, source: 'container', heapBytes: 259 * MIB })
  cwm = await startCwm(upstream.url, settings)
})

afterAll(async () => {
  await cwm.close()
  await upstream.close()
})

describe('a hundred sessions of 512 KB', () => {
  it('can all be frozen by REST', async () => {
    for (const session of sessions) {
      await chat(cwm.url, [user(textOf(session))], {
        body: { model: 'm' },
        headers: { 'x-cwm-session': `s${session}` },
      })
    }

    const freezable: boolean[] = []
    for (const session of sessions) {
      freezable.push((await rest<{ freezable: boolean }>(cwm.url, 'GET', `/sessions/s${session}`)).freezable)
    }
    expect(freezable).toEqual(sessions.map(() => true))

    const body = { name: 'first', session_id: 's0' }
    const window = await rest<WindowJson>(cwm.url, 'POST', '/windows', body)
    const { messages } = await rest<{ messages: object[] }>(cwm.url, 'GET', `/windows/${window.name}/export`)
    expect(messages).toEqual([user(textOf(0)), { role: 'assistant', content: 'yes' }])
  })
})
