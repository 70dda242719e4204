// Messages of windows and sessions: pages, search, and who may read them.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import type { AuditEntryJson } from '../../src/wire/audit.ts'
import type { MessagesJson } from '../../src/wire/messages.ts'
import { ask, errorOf, jsonOf } from '../support/client.ts'
import { chat, user } from '../support/conversation.ts'
import { until } from '../support/deadline.ts'
import { call, rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const operator = { ...bearer('operator-key-0123456789'), 'x-cwm-tenant': 'acme' }
const acme = bearer('sk-acme-0123456789')
const settings = {
  operator_key: operator.authorization.slice(7),
  tenants: [{ id: 'acme', keys: [{ name: 'laptop', sha256: keyHash(acme.authorization.slice(7)) }] }],
}

let stack: Stack
const read = (path: string, headers: Record<string, string> = acme) =>
  rest<MessagesJson>(stack.url, 'GET', path, undefined, headers)

const png = Buffer.alloc(30_000).toString('base64')
const long = `${'filler words '.repeat(2_000)}the needle is here ${'and more '.repeat(2_000)}`
const messages = [
  { role: 'system', content: 'You are a lighthouse keeper.' },
  ...Array.from({ length: 30 }, (_, n) => [
    { role: 'user', content: `question ${n} <script>alert(1)</script>` },
    { role: 'assistant', content: `answer ${n}` },
  ]).flat(),
  {
    role: 'user',
    content: [
      { type: 'text', text: 'a picture' },
      { type: 'image_url', image_url: { url: `data:image/png;base64,${png}` } },
    ],
  },
  {
    role: 'assistant',
    tool_calls: [{ id: 'c1', type: 'function', function: { name: 'measure', arguments: '{"depth":3}' } }],
  },
  { role: 'tool', tool_call_id: 'c1', content: 'three fathoms' },
  { role: 'user', content: long },
]

beforeAll(async () => {
  stack = await startStack({ settings })
  await rest(stack.url, 'PUT', '/windows/log', { model: 'sim-model', messages }, acme)
})
afterAll(() => stack.close())

describe('the messages of a window', () => {
  it('come in pages that together are all of them', async () => {
    const seen: MessagesJson['data'] = []
    let offset: number | null = 0
    while (offset !== null) {
      const page: MessagesJson = await read(`/windows/log/messages?limit=10&offset=${offset}`)
      expect(page).toMatchObject({ of: 'window', name: 'log', dialect: 'chat', total: 65, offset })
      seen.push(...page.data)
      offset = page.next_offset
    }

    expect(seen.map(({ index }) => index)).toEqual(messages.map((_, n) => n))
    expect(seen[1]).toEqual({
      index: 1,
      role: 'user',
      chars: 36,
      is_cut: false,
      parts: [{ kind: 'text', text: 'question 0 <script>alert(1)</script>' }],
    })
  })

  it('show media as a type and a size, and tool calls with name and arguments', async () => {
    const { data } = await read('/windows/log/messages?offset=61&limit=3')

    expect(data.map(({ parts }) => parts)).toEqual([
      [
        { kind: 'text', text: 'a picture' },
        { kind: 'media', text: '', name: 'image/png', bytes: 30_000 },
      ],
      [{ kind: 'tool_call', name: 'measure', call_id: 'c1', text: '{\n  "depth": 3\n}' }],
      [{ kind: 'tool_result', call_id: 'c1', text: 'three fathoms' }],
    ])
  })

  it('are cut, and shown in full if asked', async () => {
    const cut = (await read('/windows/log/messages?offset=64')).data[0]
    const whole = (await read('/windows/log/messages?offset=64&limit=1&max_chars=1000000')).data[0]

    expect(cut).toMatchObject({ chars: long.length, is_cut: true })
    expect(cut?.parts[0]?.text).toBe(long.slice(0, 4_000))
    expect(whole).toMatchObject({ is_cut: false, parts: [{ text: long }] })
  })

  it('are searched in any case, and a long one is cut around the match', async () => {
    const found = await read('/windows/log/messages?search=NEEDLE')
    const tool = await read('/windows/log/messages?search=fathoms')
    const many = await read('/windows/log/messages?search=answer&limit=2&offset=2')
    const none = await read('/windows/log/messages?search=submarine')

    expect(found).toMatchObject({
      total: 1,
      data: [{ index: 64, is_cut: true, parts: [{ from: expect.any(Number) }] }],
    })
    expect(found.data[0]?.parts[0]?.text).toContain('the needle is here')
    expect(tool.data.map(({ index }) => index)).toEqual([63])
    expect(many).toMatchObject({ total: 30, offset: 2, next_offset: 4, data: [{ index: 6 }, { index: 8 }] })
    expect(none).toMatchObject({ total: 0, next_offset: null, data: [] })
  })

  it.each(['limit=0', 'limit=101', 'offset=-1', 'max_chars=1', 'search='])('refuses %s', async (query) => {
    const got = await call(stack.url, 'GET', `/windows/log/messages?${query}`, undefined, acme)

    expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_field'])
  })

  it('of an unknown window are 404', async () => {
    const got = await call(stack.url, 'GET', '/windows/nothing/messages', undefined, acme)

    expect([got.status, errorOf(got).code]).toEqual([404, 'window_not_found'])
  })

  it('include a system prompt beside the messages', async () => {
    const body = {
      model: 'sim-model',
      dialect: 'messages',
      system: 'Be brief.',
      messages: [{ role: 'user', content: 'hi' }],
    }
    await rest(stack.url, 'PUT', '/windows/brief', body, acme)

    expect((await read('/windows/brief/messages')).data).toMatchObject([
      { index: null, role: 'system', parts: [{ text: 'Be brief.' }] },
      { index: 0, role: 'user' },
    ])
  })
})

describe('the messages of a session', () => {
  it('are those of its last turn with the reply, after its window', async () => {
    await rest(stack.url, 'POST', '/windows/brief/thaw', { session_id: 'none-yet' }, acme)
    await chat(stack.url, [user('where is the boat')], { headers: { ...acme, 'x-cwm-session': 'ann' } })

    const page = await read('/sessions/ann/messages')
    const empty = await call(stack.url, 'GET', '/sessions/none-yet/messages', undefined, acme)

    expect(page).toMatchObject({
      of: 'session',
      name: 'ann',
      total: 2,
      data: [{ role: 'user' }, { role: 'assistant' }],
    })
    expect([empty.status, errorOf(empty).code, errorOf(empty).message]).toEqual([
      409,
      'session_empty',
      expect.stringContaining('the window brief'),
    ])
  })

  it('of an unknown session are 404', async () => {
    const got = await call(stack.url, 'GET', '/sessions/nobody/messages', undefined, acme)

    expect([got.status, errorOf(got).code]).toEqual([404, 'session_not_found'])
  })
})

describe('the operator', () => {
  const question = { question: 'what is the needle?' }
  const readings: readonly (readonly [method: string, path: string, body: object | undefined])[] = [
    ['GET', '/cwm/v1/windows/log/messages', undefined],
    ['GET', '/cwm/v1/sessions/ann/messages', undefined],
    ['GET', '/cwm/v1/windows/log/export', undefined],
    ['POST', '/cwm/v1/windows/log/ask', question],
    ['POST', '/cwm/v1/ask', { ...question, windows: { names: ['log'] } }],
    ['POST', '/cwm/a/law/v1/chat/completions', { model: 'ask:law', messages: [user('what?')] }],
  ]
  const audited = async (action: string, outcome: string) => {
    const entries = await until('the audit log has it', async () => {
      const { data } = jsonOf<{ data: AuditEntryJson[] }>(await ask(stack.url, '/cwm/v1/audit', { headers: acme }))
      const found = data.filter((entry) => entry.action === action && entry.outcome === outcome)
      return found.length > 0 ? found : undefined
    })
    return entries.map(({ actor, target, name }) => `${actor} ${target} ${name}`)
  }

  it.each(readings)('may not %s %s, and the attempt is in the audit log', async (method, path, body) => {
    const got = await ask(stack.url, path, { method, headers: operator, ...(body === undefined ? {} : { body }) })

    expect([got.status, errorOf(got).code]).toEqual([403, 'operator_may_not_read'])
    expect(got.text).not.toContain('fathoms')
    const action = path.endsWith('/messages') ? 'read' : path.endsWith('/export') ? 'export' : 'ask'
    expect(await audited(action, 'operator_may_not_read')).toEqual(
      expect.arrayContaining([expect.stringMatching(/^operator /)]),
    )
  })

  it('still sees and labels windows', async () => {
    expect(await rest(stack.url, 'GET', '/windows/log', undefined, operator)).toMatchObject({ name: 'log' })
    expect(await rest(stack.url, 'PATCH', '/windows/log', { note: 'x' }, operator)).toMatchObject({ note: 'x' })
  })

  it('reads if the setting allows it, and each access is in the audit log', async () => {
    await stack.restart({ operator_reads_messages: true })

    const page = await read('/windows/log/messages?search=fathoms', operator)
    await read('/sessions/ann/messages', acme).catch(() => {})

    expect(page.total).toBe(1)
    expect(await audited('read', 'ok')).toEqual(['operator window log'])
  })
})
