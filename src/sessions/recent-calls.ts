// Finds the session that called one of cwm's tools. A model does not know its session, so a call is matched with those seen in recent
// replies. It is attributed only if exactly one session's reply contained it.

import { createHash } from 'node:crypto'
import type { Now } from '../base/clock.ts'
import { FairMap } from '../base/fair-map.ts'
import { isObject, type JsonObject, type JsonValue, parseJson } from '../base/json.ts'
import { type ToolName, toolOf } from '../base/tool-names.ts'
import type { ToolCall } from '../dialects/dialect.ts'

/** Maximum number of remembered calls, of all tenants. The sharer with the most loses its oldest first. */
const MAX_CALLS = 10_000
/** An agent may ask its user for permission before it makes the call, so this is long. */
const REMEMBERED_MS = 600_000
/** Sessions remembered per call. Two already make it ambiguous. */
const MAX_SESSIONS = 8

interface SeenCall {
  readonly sessions: readonly string[]
  /** Milliseconds since the epoch. */
  readonly until: number
}

export class RecentCalls {
  readonly #now: Now
  readonly #calls: FairMap<SeenCall>

  constructor(now: Now) {
    this.#now = now
    this.#calls = new FairMap({ maxWeight: MAX_CALLS, idleMs: REMEMBERED_MS, now })
  }

  /** Records the calls of a reply. Ignores tools that are not cwm's. */
  record(tenant: string, session: string, calls: readonly ToolCall[], sharer = tenant): void {
    for (const { name, arguments: raw } of calls) {
      const tool = toolOf(name)
      if (tool === undefined) continue
      const args = typeof raw === 'string' ? parseJson(raw) : raw
      const key = keyOf(tenant, tool, args)
      const others = this.#sessionsOf(key).filter((id) => id !== session)
      const sessions = [session, ...others].slice(0, MAX_SESSIONS)
      this.#calls.set(sharer, key, { sessions, until: this.#now() + REMEMBERED_MS }, 1)
    }
  }

  /** Ids of the tenant's sessions whose replies contained this call in the last ten minutes, newest first. */
  find(tenant: string, tool: ToolName, args: JsonObject): readonly string[] {
    return this.#sessionsOf(keyOf(tenant, tool, args))
  }

  #sessionsOf(key: string): readonly string[] {
    const call = this.#calls.get(key)
    return call === undefined || call.until < this.#now() ? [] : call.sessions
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
