// The scope in which a message prefix decides who is speaking: tenant, dialect, and every coarser id that the client sent.
// Such an id never names a session (one chat id stands for the chat and its title call): it only narrows the scope.

import type { IncomingHttpHeaders } from 'node:http'
import { isObject, type JsonObject } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'

/**
 * Headers that stay the same through a conversation, by who sends them. What changes with each request (message, request and trace ids) is
 * left out: it would make every turn a first one. So is Codex' `x-openai-subagent`: what it compacts is the main agent's history.
 */
export const narrowingHeaders = [
  // Open WebUI, with its forwarding of user information on.
  'x-openwebui-chat-id',
  'x-openwebui-user-id',
  // Claude Code and its sub-agents.
  'x-claude-code-session-id',
  'x-claude-code-agent-id',
  'x-claude-code-parent-agent-id',
  // Codex, in the spellings of its versions; sub-agents have threads of their own.
  'session-id',
  'session_id',
  'conversation_id',
  'thread-id',
  'thread_id',
  // OpenCode.
  'x-opencode-session',
  'x-session-affinity',
  'x-session-id',
  // LiteLLM.
  'x-litellm-session-id',
] as const

const narrowingFields = ['prompt_cache_key', 'session_id', 'litellm_session_id', 'safety_identifier', 'user'] as const
const narrowingMetadata = ['session_id', 'user_id'] as const

/** Raised when the canonical form of messages changes: old boundaries are then never matched. */
const SCHEME_VERSION = 2

/** Text that two requests share exactly if their histories may be compared. JSON, so its parts cannot run into each other. */
export function scopeOf(tenant: string, dialect: Dialect, headers: IncomingHttpHeaders, body: JsonObject): string {
  const parts: [string, string][] = []
  for (const name of narrowingHeaders) {
    const value = headers[name]
    if (typeof value === 'string' && value !== '') parts.push([name, value])
  }
  for (const field of narrowingFields) {
    const value = body[field]
    if (typeof value === 'string' && value !== '') parts.push([`body.${field}`, value])
  }
  const metadata = body.metadata
  if (isObject(metadata)) {
    for (const field of narrowingMetadata) {
      const value = metadata[field]
      if (typeof value === 'string' && value !== '') parts.push([`metadata.${field}`, value])
    }
  }
  // Most clients send none, and to put the same few words together costs less than to serialize them.
  const begin = `[${SCHEME_VERSION},${JSON.stringify(tenant)},"${dialect}",`
  return parts.length === 0 ? `${begin}[]]` : `${begin}${JSON.stringify(parts)}]`
}

/** Whether some id of the client stands in the scope: it is not all that a tenant says in a dialect. */
export function isNarrowed(scope: string): boolean {
  return !scope.endsWith(',[]]')
}
