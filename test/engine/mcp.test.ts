// An agent with the official client on the real engine: freeze, list, clone, thaw, status and delete.

import type OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Agent, overHttp, overStdio } from '../support/mcp.ts'
import { ask, longText, measured, openai, system, user } from './support/conversations.ts'
import { type Cwm, KEY, main, type ShownWindow, startCwm, type ThawReceipt } from './support/cwm.ts'
import { bound, forget } from './support/stack.ts'

let cwm: Cwm
let client: OpenAI
beforeAll(async () => {
  cwm = await startCwm()
  client = openai(cwm.url)
})
afterAll(() => cwm.dispose())

const transports = {
  http: () => overHttp(cwm.url, { authorization: `Bearer ${KEY}` }),
  stdio: () => overStdio({ main, dispose: async () => {} }, { CWM_URL: cwm.url, CWM_API_KEY: KEY }),
}

describe.each(['http', 'stdio'] as const)('over %s', (transport) => {
  const session = `agent-${transport}`
  const name = `notes-${transport}`
  let agent: Agent
  beforeAll(async () => {
    agent = await transports[transport]()
  })
  afterAll(() => agent.close())

  it('freezes, lists, clones, thaws, shows and deletes', async () => {
    const messages = [system(longText('You keep notes', 900)), user(longText(transport, 600))]
    const first = await ask(client, messages, { headers: { 'x-cwm-session': session } })

    const frozen = await agent.use<ShownWindow>('window_freeze', {
      session_id: session,
      window_name: name,
      tags: ['notes', transport],
    })
    const { windows } = await agent.use<{ windows: { name: string }[] }>('window_list', { tags: [transport] })
    const cloned = await agent.use<ShownWindow>('window_clone', { source_window: name, new_window_name: `${name}-2` })
    await forget()
    const thawed = await agent.use<ThawReceipt & { session_id: string }>('window_thaw', {
      window_name: `${name}-2`,
      continuation_prompt: 'who?',
    })
    const turn = await ask(client, [user('who?')], { headers: { 'x-cwm-session': thawed.session_id } })
    const status = await agent.use<{ base_window: string }>('window_status', { session_id: thawed.session_id })
    const deleted = await agent.use<{ state: string; kept_for: string[] }>('window_delete', { window_name: name })

    measured(`MCP over ${transport}`, { tokens: frozen.receipt?.tokens, restored: thawed.restored_tokens })
    expect(frozen).toMatchObject({ state: 'frozen', receipt: { durability: 'l2', pinned: true } })
    expect(windows.map((window) => window.name)).toEqual([name])
    expect(cloned.receipt?.tokens).toBe(frozen.receipt?.tokens)
    expect(Number(thawed.restored_tokens)).toBeGreaterThanOrEqual(bound(Number(frozen.receipt?.tokens)))
    expect(turn.promptTokens).toBeGreaterThan(first.promptTokens)
    expect(turn.cachedTokens).toBeGreaterThanOrEqual(bound(Number(frozen.receipt?.tokens)))
    expect(status.base_window).toBe(`${name}-2`)
    expect(deleted).toMatchObject({ kept_for: ['session'] })
    expect(await agent.refused('window_status', { window_name: name })).toMatch(`there is no window ${name}`)
  })
})
