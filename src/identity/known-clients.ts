// The headers by which known clients identify a user or a conversation: one table, with a source for each entry.

import type { IncomingHttpHeaders } from 'node:http'
import { isObject, type JsonObject, parseJson } from '../base/json.ts'

/**
 * What a header identifies: a person, across conversations; one conversation; a sub-agent within a conversation; or a group of requests
 * that may span conversations. All of them are constant across turns, so all of them narrow a scope.
 */
type Carries = 'user' | 'conversation' | 'agent' | 'group'

interface KnownClient {
  readonly name: string
  /** Where the names were read, for comparison with later versions of the client. */
  readonly source: string
  readonly headers: Readonly<Record<string, Carries>>
}

/**
 * Excluded: ids that change per request (message, request and trace ids), which would make every turn a first one, and Codex's
 * `x-openai-subagent`, because its compacting agent reads the main agent's history. The order is part of stored boundaries: append only.
 */
const knownClients: readonly KnownClient[] = [
  {
    name: 'open-webui',
    // Sent with ENABLE_FORWARD_USER_INFO_HEADERS. The environment can change the names; these are the defaults.
    source: 'open-webui/open-webui: backend/open_webui/env.py, utils/headers.py, routers/openai.py',
    headers: { 'x-openwebui-chat-id': 'conversation', 'x-openwebui-user-id': 'user' },
  },
  {
    name: 'claude-code',
    source: 'requests of Claude Code 2.1.197, recorded by cwm; code.claude.com/docs, LLM gateways',
    headers: {
      'x-claude-code-session-id': 'conversation',
      'x-claude-code-agent-id': 'agent',
      'x-claude-code-parent-agent-id': 'agent',
    },
  },
  {
    name: 'codex',
    // The spellings of its versions; sub-agents have their own threads. Its `prompt_cache_key` is also its conversation id.
    source: 'openai/codex: codex-rs/codex-api/src/requests/headers.rs, codex-rs/core/src/client.rs',
    headers: {
      'session-id': 'conversation',
      session_id: 'conversation',
      conversation_id: 'conversation',
      'thread-id': 'conversation',
      thread_id: 'conversation',
    },
  },
  {
    name: 'opencode',
    // The first is for providers named "opencode…", the other two for all others; a sub-agent has its own session.
    source: 'anomalyco/opencode: packages/opencode/src/session/llm/request.ts, pull request 20744',
    headers: {
      'x-opencode-session': 'conversation',
      'x-session-affinity': 'conversation',
      'x-session-id': 'conversation',
    },
  },
  {
    name: 'litellm',
    // A session groups related requests; customer and end user are synonyms. They arrive if client headers are forwarded.
    source: 'docs.litellm.ai: proxy/ui_logs_sessions, proxy/request_headers, proxy/forward_client_headers',
    headers: {
      'x-litellm-session-id': 'group',
      'x-litellm-customer-id': 'user',
      'x-litellm-end-user-id': 'user',
    },
  },
]

const headersThatCarry = (...kinds: Carries[]): string[] =>
  knownClients.flatMap(({ headers }) => Object.keys(headers).filter((name) => kinds.some((k) => k === headers[name])))

/** Every header that narrows a scope, lower case, in the order in which boundaries were stored. */
export const narrowingHeaders: readonly string[] = headersThatCarry('user', 'conversation', 'agent', 'group')

/** The headers that name a user, lower case. */
export const userHeaders: readonly string[] = headersThatCarry('user')

/** The parts of Claude Code's `metadata.user_id`. */
export interface ClaudeCodeUser {
  /** The account, or the device if nobody is logged in, tagged with which of the two it is. Undefined if both are empty. */
  readonly user: string | undefined
  readonly session: string
}

/** Claude Code sends about 200 characters. Longer texts are from other clients and are not parsed. */
const MAX_CLAUDE_CODE_ID = 2_000
const legacyClaudeCodeUser = /^user_([0-9a-f]+)_account_([0-9a-f-]*)_session_([0-9a-f-]{36})$/

/**
 * Reads Claude Code's `metadata.user_id`: JSON text with `device_id`, `account_uuid` and `session_id` (seen in 2.1.197); before 2.1.78
 * `user_<device>_account_<uuid>_session_<uuid>` (ding113/claude-code-hub, pull request 939). Undefined for any other text.
 */
export function readClaudeCodeUser(text: string): ClaudeCodeUser | undefined {
  if (text.length > MAX_CLAUDE_CODE_ID) return undefined
  const [, device, account, session] = legacyClaudeCodeUser.exec(text) ?? []
  if (session !== undefined) return { user: accountOrDevice(account, device), session }
  if (!text.startsWith('{')) return undefined
  const parsed = parseJson(text)
  if (!isObject(parsed) || typeof parsed.device_id !== 'string' || typeof parsed.session_id !== 'string')
    return undefined
  const { account_uuid } = parsed
  // A non-string account still distinguishes two people on one device, so the whole id is used as the user.
  if (account_uuid !== undefined && account_uuid !== null && typeof account_uuid !== 'string') return undefined
  return { user: accountOrDevice(account_uuid, parsed.device_id), session: parsed.session_id }
}

function accountOrDevice(account: string | null | undefined, device: string | undefined): string | undefined {
  if (account) return `account:${account}`
  return device ? `device:${device}` : undefined
}

/**
 * A known client's own conversation id, tagged with the client. Requests with equal ids belong to one conversation, or to one sub-agent's part
 * of it. Undefined if none is sent, or if it looks like a constant that many conversations share.
 */
export function conversationIdOf(headers: IncomingHttpHeaders, body: JsonObject): string | undefined {
  for (const client of knownClients) {
    const id = conversationOfClient(client, headers, body)
    if (id !== undefined) return id
  }
  const key = body.prompt_cache_key
  return typeof key === 'string' && looksLikeId(key) ? JSON.stringify(['prompt_cache_key', key]) : undefined
}

function conversationOfClient(
  { name, headers: carriers }: KnownClient,
  headers: IncomingHttpHeaders,
  body: JsonObject,
): string | undefined {
  const parts: (readonly [string, string])[] = []
  let isNamed = false
  for (const header in carriers) {
    const carries = carriers[header]
    const value = headers[header]
    if ((carries !== 'conversation' && carries !== 'agent') || typeof value !== 'string' || value === '') continue
    parts.push([header, value])
    if (carries === 'conversation' && looksLikeId(value)) isNamed = true
  }
  if (!isNamed && name === 'claude-code') {
    const userId = isObject(body.metadata) ? body.metadata.user_id : undefined
    const session = typeof userId === 'string' ? readClaudeCodeUser(userId)?.session : undefined
    if (session !== undefined && looksLikeId(session)) {
      isNamed = true
      parts.push(['metadata.user_id', session])
    }
  }
  return isNamed ? JSON.stringify([name, ...parts]) : undefined
}

const uuid = /(?<![0-9a-f])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![0-9a-f])/i
/** No client generates a longer id. */
const MAX_ID = 256
const MIN_RANDOM = 16
/** Minimum number of changes between letters and digits in a random id. `production2026assistant` has two. */
const MIN_SWITCHES = 4

/**
 * Whether a text contains a UUID or a long random token, as ids of single conversations do. Human-written names are not ids, because
 * one name may cover everything an app sends: `my-app-production-2026`, or `local`, which Open WebUI sends for all temporary chats.
 */
export function looksLikeId(text: string): boolean {
  if (text.length > MAX_ID) return false
  if (uuid.test(text)) return true
  return text.split(/[^A-Za-z0-9]+/).some((run) => {
    if (run.length < MIN_RANDOM) return false
    const switches = run.match(/[A-Za-z][0-9]|[0-9](?=[A-Za-z])/g)?.length ?? 0
    return switches >= MIN_SWITCHES
  })
}
