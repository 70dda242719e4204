// Finds the session that called one of cwm's tools. A model does not know its session, so a call is matched with those seen in recent
// replies. It is attributed only if exactly one session's reply contained it.

import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Now } from '../base/clock.ts'
import { isObject, type JsonObject, type JsonValue, parseJson } from '../base/json.ts'
import { type ToolName, toolOf } from '../base/tool-names.ts'
import type { ToolCall } from '../dialects/dialect.ts'

/** Maximum number of remembered calls, of all tenants. */
const MAX_CALLS = 10_000
/** An agent may ask its user for permission before it makes the call, so this is long. */
const REMEMBERED_MS = 600_000
/** Sessions remembered per call. Two already make it ambiguous. */
const MAX_SESSIONS = 8

export class RecentCalls {
  readonly #calls: LRUCache<string, readonly string[]>

  constructor(now: Now) {
    this.#calls = new LRUCache({ max: MAX_CALLS, ttl: REMEMBERED_MS, ttlResolution: 0, perf: { now } })
  }

  /** Records the calls of a reply. Ignores tools that are not cwm's. */
  record(tenant: string, session: string, calls: readonly ToolCall[]): void {
    for (const { name, arguments: raw } of calls) {
      const tool = toolOf(name)
      if (tool === undefined) continue
      const args = typeof raw === 'string' ? parseJson(raw) : raw
      const key = keyOf(tenant, tool, args)
      const others = (this.#calls.get(key) ?? []).filter((id) => id !== session)
      this.#calls.set(key, [session, ...others].slice(0, MAX_SESSIONS))
    }
  }

  /** Ids of the tenant's sessions whose replies contained this call in the last ten minutes, newest first. */
  find(tenant: string, tool: ToolName, args: JsonObject): readonly string[] {
    return this.#calls.get(keyOf(tenant, tool, args)) ?? []
  }
}

function keyOf(tenant: string, tool: ToolName, args: JsonValue | undefined): string {
  return createHash('sha256')
    .update(JSON.stringify([tenant, tool, sorted(isObject(args) ? args : {})]))
    .digest('base64url')
}

/** The arguments with sorted keys, so that equal arguments have equal texts. */
function sorted(value: JsonValue | undefined): JsonValue | undefined {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map((one) => sorted(one) ?? null)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((name) => [name, sorted(value[name]) ?? null]),
  )
}
