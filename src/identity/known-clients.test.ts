// User and conversation ids of known clients. The ids are made up, in the formats that the clients send.

import { describe, expect, it } from 'vitest'
import { conversationIdOf, looksLikeId, narrowingHeaders, readClaudeCodeUser } from './known-clients.ts'

const session = 'f1c2b3a4-0000-4000-8000-0123456789ab'
const other = '0b5c1f6e-1111-4111-9111-ba9876543210'
const device = '3f'.repeat(32)

describe('readClaudeCodeUser', () => {
  const json = (account: string, deviceId = device) =>
    readClaudeCodeUser(JSON.stringify({ device_id: deviceId, account_uuid: account, session_id: session }))

  it('returns the account, or the device if nobody is logged in', () => {
    expect(json(other)).toEqual({ user: `account:${other}`, session })
    expect(json('')).toEqual({ user: `device:${device}`, session })
    expect(json('', '')).toEqual({ user: undefined, session })
  })

  it('reads the format before 2.1.78 as the same user', () => {
    expect(readClaudeCodeUser(`user_${device}_account_${other}_session_${session}`)).toEqual(json(other))
    expect(readClaudeCodeUser(`user_${device}_account__session_${session}`)).toEqual(json(''))
  })

  it.each([
    '',
    'ann',
    'user_1',
    '{"a":1}',
    '{"device_id":1,"session_id":"s"}',
    '{"device_id":"d","account_uuid":1,"session_id":"s"}',
    '{"device_id":"d","account_uuid":{"id":"a"},"session_id":"s"}',
    '{"device_id":',
    `{"device_id":"${'x'.repeat(3000)}`,
  ])('does not accept %j as a Claude Code id', (text) => {
    expect(readClaudeCodeUser(text)).toBeUndefined()
  })
})

describe('conversationIdOf', () => {
  it.each([
    'x-openwebui-chat-id',
    'x-claude-code-session-id',
    'session-id',
    'session_id',
    'conversation_id',
    'thread-id',
    'thread_id',
    'x-opencode-session',
    'x-session-affinity',
    'x-session-id',
  ])('is distinguished by the header %s', (name) => {
    const ids = [session, other].map((value) => conversationIdOf({ [name]: value }, {}))

    expect(ids[0]).toContain(session)
    expect(ids[0]).not.toBe(ids[1])
  })

  it('of Claude Code is its session in the body if there is no header, and differs by sub-agent', () => {
    const body = { metadata: { user_id: JSON.stringify({ device_id: device, account_uuid: '', session_id: session }) } }

    expect(conversationIdOf({}, body)).toContain(session)
    const agents = ['a1', 'a2', ''].map((agent) =>
      conversationIdOf({ 'x-claude-code-session-id': session, 'x-claude-code-agent-id': agent }, body),
    )
    expect(new Set(agents).size).toBe(3)
  })

  it('of Codex is also its prompt_cache_key, if that looks like an id', () => {
    expect(conversationIdOf({}, { prompt_cache_key: session })).toContain(session)
    expect(conversationIdOf({}, { prompt_cache_key: 'my-app' })).toBeUndefined()
    expect(conversationIdOf({}, { prompt_cache_key: [session] })).toBeUndefined()
  })

  it('differs by client', () => {
    const ids = ['x-openwebui-chat-id', 'x-session-id', 'session_id'].map((name) =>
      conversationIdOf({ [name]: session }, {}),
    )

    expect(new Set(ids).size).toBe(3)
  })

  // A user has many conversations, and a LiteLLM session groups several.
  it.each(['x-openwebui-user-id', 'x-litellm-session-id', 'x-litellm-customer-id', 'x-request-id'])(
    'is not taken from %s',
    (name) => {
      expect(conversationIdOf({ [name]: session }, { user: session })).toBeUndefined()
    },
  )

  // Open WebUI's temporary chats: https://github.com/open-webui/open-webui, `local` and `local:` with the socket's id.
  it.each(['local', 'local:', 'default', ''])('is not taken from a constant: %j', (value) => {
    expect(conversationIdOf({ 'x-openwebui-chat-id': value }, {})).toBeUndefined()
  })
})

describe('looksLikeId', () => {
  it.each([
    session,
    session.toUpperCase(),
    `thread_${session}`,
    'ses_6f1c2a9b3ffeKJ12abCD90xyZQ',
    '9f86d081884c7d659a2feaa0c55ad015',
  ])('accepts %s as an id', (text) => {
    expect(looksLikeId(text)).toBe(true)
  })

  it.each([
    '',
    'my-app',
    'my-application-production-2026',
    'production2026assistant',
    'aaaaaaaaaaaaaaaaaaaaaaaa',
    'a1'.repeat(300),
  ])('rejects %s', (text) => {
    expect(looksLikeId(text)).toBe(false)
  })
})

// Their order is part of stored boundaries: another order would make every chat that sends two of them cold.
it('keeps the headers of a scope in the order in which boundaries were stored', () => {
  expect(narrowingHeaders).toEqual([
    'x-openwebui-chat-id',
    'x-openwebui-user-id',
    'x-claude-code-session-id',
    'x-claude-code-agent-id',
    'x-claude-code-parent-agent-id',
    'session-id',
    'session_id',
    'conversation_id',
    'thread-id',
    'thread_id',
    'x-opencode-session',
    'x-session-affinity',
    'x-session-id',
    'x-litellm-session-id',
    'x-litellm-customer-id',
    'x-litellm-end-user-id',
  ])
})
