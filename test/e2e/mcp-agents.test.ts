// Agents that talk through the proxy and call its tools: which session a call is about, who may call, and restarts.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import { toolNames } from '../../src/base/tool-names.ts'
import type { Settings } from '../../src/config/schema.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { ask } from '../support/client.ts'
import { prose } from '../support/conversation.ts'
import { overHttp, overStdio } from '../support/mcp.ts'
import { frozenSession } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const keys = { acme: 'sk-acme-0123456789', other: 'sk-other-0123456789', operator: 'operator-0123456789' }
const tenants: NonNullable<Settings['tenants']> = [
  { id: 'acme', keys: [{ name: 'main', sha256: keyHash(keys.acme) }] },
  { id: 'other', keys: [{ name: 'main', sha256: keyHash(keys.other) }] },
]
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

let built: BuiltCwm
let stack: Stack
beforeAll(async () => {
  ;[built, stack] = await Promise.all([buildCwm(), startStack({ settings: { tenants, operator_key: keys.operator } })])
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
})

const parameters = { type: 'object' }
const model = 'sim-model'

/** A turn whose reply calls the tool. */
const dialects = {
  chat: (tool: string) => ({
    path: '/v1/chat/completions',
    body: { tools: [{ type: 'function', function: { name: tool, parameters } }] },
  }),
  messages: (tool: string) => ({
    path: '/v1/messages',
    body: { tools: [{ name: tool, input_schema: parameters }], max_tokens: 50 },
  }),
  responses: (tool: string) => ({
    path: '/v1/responses',
    body: { tools: [{ type: 'function', name: tool, parameters }] },
  }),
} as const

interface Turn {
  readonly dialect: keyof typeof dialects
  readonly stream?: boolean
  readonly key?: string
  readonly tool?: string
  readonly session: string
  readonly args: Record<string, unknown>
}

async function calls({
  dialect,
  stream = false,
  key = keys.acme,
  tool = 'mcp__cwm__window_freeze',
  session,
  args,
}: Turn) {
  stack.sim.script({ toolCalls: [{ name: tool, arguments: args }] })
  const { path, body } = dialects[dialect](tool)
  const said = [{ role: 'user', content: `${prose(400, session)}. Freeze this.` }]
  const turn = dialect === 'responses' ? { input: said } : { messages: said }
  const got = await ask(stack.url, path, {
    body: { model, ...turn, ...body, stream },
    headers: { ...bearer(key), 'x-cwm-session': session },
  })
  if (got.status !== 200) throw new Error(got.text)
}

describe('a call without a session', () => {
  const turns = Object.keys(dialects).flatMap((dialect) =>
    [false, true].map((stream) => ({ dialect: dialect as keyof typeof dialects, stream })),
  )
  it.each(turns)('is about the session whose reply just made it: $dialect, stream $stream', async (how) => {
    const session = `agent-${how.dialect}-${how.stream}`
    const args = { window_name: `of-${session}`, tags: ['x', 'y'] }
    await calls({ ...how, session, args })
    await calls({ ...how, session: `${session}-2`, args: { ...args, window_name: 'another' } })
    const agent = await overHttp(stack.url, bearer(keys.acme))

    const frozen = await agent.use<WindowJson>('window_freeze', { tags: ['x', 'y'], window_name: `of-${session}` })
    await agent.close()

    expect(frozen).toMatchObject({ state: 'frozen', session_id: session })
  })

  it('works over stdio too', async () => {
    await calls({ dialect: 'chat', session: 'by-stdio', args: { window_name: 'of-stdio' } })
    const agent = await overStdio(built, { CWM_URL: stack.url, CWM_API_KEY: keys.acme })

    const frozen = await agent.use<WindowJson>('window_freeze', { window_name: 'of-stdio' })
    await agent.close()

    expect(frozen).toMatchObject({ session_id: 'by-stdio' })
  })

  it('is rejected with both ids if two sessions made it', async () => {
    const args = { window_name: 'twice' }
    await calls({ dialect: 'chat', session: 'one', args })
    await calls({ dialect: 'chat', session: 'two', args })
    const agent = await overHttp(stack.url, bearer(keys.acme))

    const words = await agent.refused('window_freeze', args)
    await agent.close()

    expect(words).toBe('several sessions just made this call: give session_id, e.g. two, one')
  })

  it('is rejected if no reply contained it, with the newest sessions of this key', async () => {
    await calls({ dialect: 'chat', session: 'newest', args: { window_name: 'some' } })
    const agent = await overHttp(stack.url, bearer(keys.acme))

    const words = await agent.refused('window_freeze', { window_name: 'never-seen' })
    await agent.close()

    expect(words).toMatch(/^no reply that went through cwm contained this call.*: give session_id, e\.g\. newest, /)
  })

  it('is never about another tenant’s session', async () => {
    const args = { window_name: 'shared-name' }
    await calls({ dialect: 'chat', session: 'secret-of-acme', args })
    const agent = await overHttp(stack.url, bearer(keys.other))

    const words = await agent.refused('window_freeze', args)
    await agent.close()

    expect(words).toBe('no reply that went through cwm contained this call, so its session is unknown: give session_id')
  })
})

describe('who may call', () => {
  it.each([{}, bearer('sk-nobody')])('nobody without a key: %j', async (headers) => {
    await expect(overHttp(stack.url, headers as Record<string, string>)).rejects.toThrow(/401|key/i)
  })

  it('a tenant sees and deletes nothing of another', async () => {
    await frozenSession(stack.url, { session: 'mine', window: 'mine', headers: bearer(keys.acme) })
    const agent = await overHttp(stack.url, bearer(keys.other))

    const { windows } = await agent.use<{ windows: unknown[] }>('window_list')
    const { sessions } = await agent.use<{ sessions: unknown[] }>('session_list')
    const words = await Promise.all([
      agent.refused('window_status', { window_name: 'mine' }),
      agent.refused('window_status', { session_id: 'mine' }),
      agent.refused('window_delete', { window_name: 'mine' }),
      agent.refused('window_thaw', { window_name: 'mine' }),
      agent.refused('window_clone', { source_window: 'mine', new_window_name: 'theirs' }),
      agent.refused('window_freeze', { session_id: 'mine', window_name: 'theirs' }),
    ])
    const { resources } = await agent.client.listResources()
    await agent.close()

    expect([...windows, ...sessions, ...resources]).toEqual([])
    for (const text of words) expect(text).toMatch(/^there is no (window|session) mine/)
  })

  it('the operator, for a named tenant', async () => {
    const agent = await overHttp(stack.url, { ...bearer(keys.operator), 'x-cwm-tenant': 'acme' })

    const { windows } = await agent.use<{ windows: { name: string }[] }>('window_list', { search: 'mine' })
    await agent.close()

    expect(windows.map(({ name }) => name)).toEqual(['mine'])
  })

  it('no page of another origin', async () => {
    const got = await ask(stack.url, '/cwm/mcp', {
      body: { jsonrpc: '2.0', id: 1, method: 'ping' },
      headers: { ...bearer(keys.acme), origin: 'https://evil.example', accept: 'application/json, text/event-stream' },
    })

    expect(got.status).toBe(403)
  })
})

describe('a restart of cwm', () => {
  it('is not noticed by an agent, over either transport', async () => {
    const own = await startStack()
    const http = await overHttp(own.url)
    const port = Number(new URL(own.url).port)
    await frozenSession(own.url, { window: 'kept' })
    const stdio = await overStdio(built, { CWM_URL: own.url })
    await stdio.use('health_check')

    await own.restart({ port })
    const listed = await Promise.all([http, stdio].map((agent) => agent.use<{ windows: object[] }>('window_list')))
    await own.stop()
    const words = await stdio.refused('window_list')
    await Promise.all([http.close(), stdio.close()])
    await own.close()

    expect(listed.map(({ windows }) => windows.length)).toEqual([1, 1])
    expect(words).toMatch(/cannot connect to http/)
  })

  it('may happen after the agent has started', async () => {
    const agent = await overStdio(built, { CWM_URL: 'http://127.0.0.1:9' })
    const { tools } = await agent.client.listTools()
    const words = await agent.refused('health_check')
    await agent.close()

    expect(tools).toHaveLength(toolNames.length)
    expect(words).toMatch(/127\.0\.0\.1:9/)
  })
})

describe('invalid MCP messages', () => {
  const headers = { ...bearer(keys.acme), accept: 'application/json, text/event-stream' }

  it.each([
    ['no JSON', 'not json', 400],
    ['no JSON-RPC', '{"hello":1}', 400],
    [
      'too much',
      JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping', params: { _meta: { x: 'x'.repeat(70_000) } } }),
      413,
    ],
  ])('%s is rejected', async (_, body, status) => {
    const response = await fetch(`${stack.url}/cwm/mcp`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    })

    expect(response.status).toBe(status)
    expect(await response.text()).toContain('error')
  })
})
