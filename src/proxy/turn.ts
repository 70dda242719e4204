// One turn on its way in: whose it is, which window stands before it, and the bytes that go to the upstream.

import type { IncomingMessage } from 'node:http'
import { CwmError } from '../base/errors.ts'
import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { KvSpace } from '../base/records.ts'
import type { Caller } from '../base/tenants.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import type { Chain } from '../sessions/chain.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { OperationOptions } from '../windows/audited.ts'
import type { BaseWindow } from '../windows/base-windows.ts'
import { type Continuation, continueWindow } from '../windows/continuation.ts'
import type { SaltQuotas } from '../windows/quotas.ts'
import type { Windows } from '../windows/windows.ts'
import { type FindParts, type Found, type FoundSession, findSession, sessionOfResponse } from './find-session.ts'
import { isTruthy } from './guard.ts'
import type { ControlHeaders } from './headers.ts'
import { findMember, itemsOf, setMembers } from './raw-json.ts'

export interface TurnParts extends FindParts {
  readonly windows: Windows
  readonly saltOf: (space: KvSpace & { tenant: string; lineage: string }) => string
  readonly quotas: Pick<SaltQuotas, 'ensure'>
  /** The epoch under which KV is made today. */
  readonly kvEpoch: number
  /** Whom of the tenant's users the body names. */
  readonly userOf: (body: JsonObject) => string | undefined
  /** The chain over a body's history, within the scope of who sent it. */
  readonly chainOf: (scope: string, messages: readonly JsonValue[], rules: DialectRules) => Chain
  readonly behindWindowMark: (boundary: string) => string
  readonly scopeOf: (tenant: string, rules: DialectRules, request: IncomingMessage, body: JsonObject) => string
}

export interface TurnRequest {
  readonly caller: Caller
  readonly control: ControlHeaders
  readonly rules: DialectRules
  readonly request: IncomingMessage
  readonly bytes: Buffer
  readonly json: JsonObject
  /** Its history is a response that the engine keeps. */
  readonly previousResponse: string | undefined
  /** For what this request asks of windows. */
  readonly call: OperationOptions
}

export interface Turn {
  readonly session: LiveSession
  readonly found: Found
  /** The store did not answer: the turn is isolated, and cold, and its session may not be found again. */
  readonly degraded: boolean
  /** Tokens that this request's thaw restored; undefined when it asked for none, null when the engine does not tell. */
  readonly restored: number | null | undefined
  readonly base: BaseWindow | undefined
  /** Bytes for the upstream, salt included. */
  readonly body: Buffer
  readonly clientSalt: string | undefined
  /** What the salt was derived from. The session may be bound to another window before this turn is over. */
  readonly lineage: string
  readonly model: string
  /** cwm asked for the usage event; the client did not. */
  readonly ownUsage: boolean
  /** The engine may keep the response, under an id of its own. One that the client chose could be another tenant's. */
  readonly keepsResponse: boolean
  /** The chain over what the client sent, to which the reply is added. Undefined for completions and continuations. */
  readonly chain: Chain | undefined
  /** When a window was put before it: the chain over the whole. A client may continue by its own words, or send all back. */
  readonly wholeChain: Chain | undefined
}

/**
 * Resolves a salted request. Its session is held in memory: `sessions.release` it when the turn is over. Throws what windows and store
 * throw, and `WINDOW_MISMATCH` for another model, dialect or client salt than the window's; then nothing is held.
 */
export async function prepareTurn(parts: TurnParts, turn: TurnRequest): Promise<Turn> {
  const { caller, control, rules, json, previousResponse } = turn
  const { tenant, policy } = caller
  const scope = parts.scopeOf(tenant, rules, turn.request, json)
  const chain = previousResponse === undefined ? chainOfRequest(parts, scope, rules, json) : undefined
  const { isolation, maxSessions } = policy
  const user = parts.userOf(json)
  const opener = { tenant, isolation, user, ...(maxSessions === undefined ? {} : { maxSessions }) }
  const found =
    previousResponse === undefined
      ? await findSession(parts, opener, control, chain)
      : await sessionOfResponse(parts, tenant, control, previousResponse)
  parts.sessions.hold(found.session)
  try {
    const built = await buildTurn(parts, turn, found, scope, chain)
    if (built.session !== found.session) parts.sessions.release(found.session)
    return built
  } catch (error) {
    parts.sessions.release(found.session)
    throw error
  }
}

async function buildTurn(
  parts: TurnParts,
  { caller: { tenant, policy }, control, rules, json, bytes, call }: TurnRequest,
  resolved: FoundSession,
  scope: string,
  chain: Chain | undefined,
): Promise<Turn> {
  const { found, known } = resolved
  const model = typeof json.model === 'string' ? json.model : ''
  const clientSalt = typeof json.cache_salt === 'string' && json.cache_salt !== '' ? json.cache_salt : undefined

  const wanted = control.window
  let restored: number | null | undefined
  let base: BaseWindow | undefined
  let continuation: Continuation | undefined
  if (wanted !== undefined && resolved.session.record.baseWindow !== wanted) {
    // Checked before anything is restored: a refused request must leave the session as it was.
    base = await parts.windows.requireFrozen(tenant, wanted, call.signal)
    checkFit(base, rules, model)
    if (clientSalt !== undefined && clientSalt !== base.record.clientSalt) {
      throw new CwmError('WINDOW_MISMATCH', `window ${wanted} was frozen under another cache_salt; leave it out`, {
        param: 'cache_salt',
      })
    }
    continuation = continueWindow(base, json, rules, { known, bound: false })
    restored = (await parts.windows.thaw(resolved.session, base, call)).restoredTokens
  } else {
    base = await parts.windows.baseOf(resolved.session)
    if (base !== undefined) {
      checkFit(base, rules, model)
      continuation = continueWindow(base, json, rules, { known, bound: true })
    }
  }

  const changes = new Map<string, Buffer | string>()
  let wholeChain: Chain | undefined
  let effectiveSalt = clientSalt
  if (base !== undefined) {
    if (continuation?.kind === 'behind') {
      const list = putBehind(base, rules, bytes, json, continuation.skip)
      changes.set(list.field, list.value)
      const whole = [
        ...outer(base.prompt.shaping, rules),
        ...base.prompt.messages,
        ...rules.readMessages(json).slice(continuation.skip),
      ]
      wholeChain = parts.chainOf(scope, whole, rules)
    }
    for (const [field, value] of Object.entries(base.prompt.shaping)) {
      if (json[field] === undefined || json[field] === null) changes.set(field, JSON.stringify(value))
    }
    effectiveSalt ??= base.record.clientSalt
  }
  const ownUsage = askForUsage(rules, json, changes)
  const { kvEpoch } = parts
  const space = effectiveSalt === undefined ? { model, kvEpoch } : { model, kvEpoch, clientSalt: effectiveSalt }
  const session = await parts.sessions.enter(resolved.session, space)
  // Of the window that stands before this very turn, whatever the session is bound to meanwhile.
  const lineage = base?.record.lineage ?? session.record.lineage
  const salt = parts.saltOf({ tenant, lineage, ...space })
  await parts.quotas.ensure(salt, policy.kvQuotaGb)
  changes.set('cache_salt', JSON.stringify(salt))
  const body = setMembers(bytes, changes, (key) => Object.hasOwn(json, key))
  return {
    session,
    found,
    degraded: session.temporary || resolved.unsure === true,
    restored,
    base,
    body,
    lineage,
    clientSalt: effectiveSalt,
    model,
    ownUsage,
    keepsResponse: json.store !== false && (json.request_id === undefined || json.request_id === null),
    chain,
    wholeChain,
  }
}

/** Completions have no messages, so nothing but a name can tell their session. */
function chainOfRequest(parts: TurnParts, scope: string, rules: DialectRules, json: JsonObject): Chain | undefined {
  if (rules.messagesField === undefined) return undefined
  return parts.chainOf(scope, [...outer(json, rules), ...rules.readMessages(json)], rules)
}

function outer(body: JsonObject, rules: DialectRules): readonly JsonValue[] {
  const system = rules.outerSystem(body)
  return system === undefined ? [] : [system]
}

function checkFit({ record }: BaseWindow, rules: DialectRules, model: string): void {
  if (record.dialect !== rules.dialect) {
    throw new CwmError(
      'WINDOW_MISMATCH',
      `window ${record.name} was frozen from the ${record.dialect} API; continue it there`,
      {
        param: 'x-cwm-window',
      },
    )
  }
  if (record.model !== model) {
    throw new CwmError(
      'WINDOW_MISMATCH',
      `window ${record.name} was frozen with model ${record.model}; its KV fits no other`,
      {
        param: 'model',
      },
    )
  }
}

/** The message list that goes out: the window's messages as JSON, then the request's own bytes from item `skip` on. */
function putBehind(
  base: BaseWindow,
  rules: DialectRules,
  bytes: Buffer,
  json: JsonObject,
  skip: number,
): { field: string; value: Buffer } {
  const field = rules.messagesField ?? 'messages'
  const parts: (Buffer | string)[] = base.json.map((text) => text)
  const own = json[field]
  if (typeof own === 'string') parts.push(JSON.stringify({ role: 'user', content: own }))
  else {
    const span = findMember(bytes, field)
    const items = span === undefined ? [] : itemsOf(bytes, span.start)
    for (const { start, end } of items.slice(skip)) parts.push(bytes.subarray(start, end))
  }
  const joined: Buffer[] = [Buffer.from('[')]
  for (const [i, part] of parts.entries()) {
    if (i > 0) joined.push(Buffer.from(','))
    joined.push(typeof part === 'string' ? Buffer.from(part) : part)
  }
  joined.push(Buffer.from(']'))
  return { field, value: Buffer.concat(joined) }
}

/** Asks for the usage event of a stream whose client did not; answers whether it did. Other fields of `stream_options` stay. */
function askForUsage(rules: DialectRules, json: JsonObject, changes: Map<string, Buffer | string>): boolean {
  if (rules.dialect !== 'chat' && rules.dialect !== 'completions') return false
  if (!isTruthy(json.stream)) return false
  const options = json.stream_options
  if (options === undefined || options === null) changes.set('stream_options', '{"include_usage":true}')
  else if (isObject(options) && !isTruthy(options.include_usage)) {
    // Without include_usage vLLM ignores continuous_usage_stats; with it, each event would change.
    changes.set('stream_options', JSON.stringify({ ...options, include_usage: true, continuous_usage_stats: false }))
  } else return false
  return true
}
