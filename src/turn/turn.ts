// One turn on its way in: whose it is, which window stands before it, and the bytes that go to the upstream.

import type { IncomingMessage } from 'node:http'
import type { HeldBody } from '../admission/body-budget.ts'
import { isObject, type JsonObject } from '../base/json.ts'
import { nextRoundAfter } from '../base/next-round.ts'
import type { KvSpace, Rollover } from '../base/records.ts'
import type { Caller } from '../base/tenants.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { isTruthy } from '../dialects/fields.ts'
import { RawObject, setMembers } from '../dialects/raw-json.ts'
import type { EngineModels } from '../engines/models.ts'
import { type Chain, chainOf } from '../identity/chain.ts'
import type { ControlHeaders } from '../identity/control-headers.ts'
import { isUnsaid } from '../identity/identity-fields.ts'
import { conversationIdOf } from '../identity/known-clients.ts'
import { scopeOf } from '../identity/scope.ts'
import { userOf } from '../identity/user.ts'
import type { SaltQuotas } from '../kv/quotas.ts'
import { type KeepParts, keepWhole } from '../near-limit/keep-whole.ts'
import {
  bytesOf,
  clientIndexOf,
  cutItems,
  listOf,
  messageBytes,
  type Outgoing,
  outgoingOf,
} from '../near-limit/outgoing.ts'
import { type FitRequest, type Fitted, fitTurn, type OverflowParts, overflowOf } from '../near-limit/overflow.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { OperationOptions } from '../windows/audited.ts'
import { type BaseWindow, wholeTokens } from '../windows/base-windows.ts'
import type { Windows } from '../windows/windows.ts'
import { namesEngineSession } from './engine-session.ts'
import { type FindParts, type Found, type FoundSession, findSession, sessionOfResponse } from './find-session.ts'
import { clientSaltOf, outerSystemOf, type WindowBefore, windowBefore } from './window-before.ts'

export interface TurnParts extends FindParts, OverflowParts, KeepParts {
  readonly models: Pick<EngineModels, 'limitsOf' | 'limitsToHold'>
  readonly windows: Windows
  readonly saltOf: (space: KvSpace & { tenant: string; lineage: string }) => string
  /** The session id for the engine, in place of the client's. */
  readonly engineSessionOf: (tenant: string, lineage: string) => string
  readonly quotas: Pick<SaltQuotas, 'ensure'>
  /** The epoch under which KV is made today. */
  readonly kvEpoch: number
}

export interface TurnRequest {
  readonly caller: Caller
  readonly control: ControlHeaders
  readonly rules: DialectRules
  readonly request: IncomingMessage
  /** What `json` was parsed from. */
  readonly raw: RawObject
  readonly json: JsonObject
  /** The bytes that the request holds. The outgoing body is added if it is not the incoming one. */
  readonly held: Pick<HeldBody, 'set'>
  /** How many bytes before those of `raw`, in their own buffer, are free. */
  readonly room: number
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
  /** Replaces the client's session id, in the body and in `x-session-id`; undefined if it sent none. */
  readonly engineSession: string | undefined
  /** What the salt was derived from. The session may be bound to another window before this turn is over. */
  readonly lineage: string
  readonly model: string
  /** cwm asked for the usage event; the client did not. */
  readonly ownUsage: boolean
  /** The engine may keep the answer, under an id of its own. */
  readonly keepsResponse: boolean
  /** Tokens that the client wants of the answer at most; undefined when it set no bound. */
  readonly maxTokens: number | undefined
  /** The engine's own limit, tokens; undefined when it is not known. */
  readonly engineLimit: number | undefined
  /** What the session is held to, tokens; undefined when it is not known. */
  readonly contextLimit: number | undefined
  /** How many messages its prompt has before any cut, those of the window before it included; 0 where the engine has its history. */
  readonly messages: number
  /** What the prompt is made of beside its messages, where it was measured. */
  readonly shape: string | undefined
  /** Where the prompt is cut; undefined when it goes out whole. */
  readonly rollover: Rollover | undefined
  /** In which its history was looked for. */
  readonly scope: string
  /** From an index into the messages that go out to one into the client's own; undefined for what the client did not send. */
  readonly clientIndex: (sent: number) => number | undefined
  /** The chain over what the client sent, to which the reply is added. Undefined for completions, continuations, and where nobody needs it. */
  readonly chain: Chain | undefined
  /** Its history leads to its session: a name alone does not, so that of a named session need not be hashed. */
  readonly byHistory: boolean
  /** Whether the request holds a reply. */
  readonly hasHistory: boolean
  /** When a window was put before it: the chain over the whole. A client may continue by its own words, or send all back. */
  readonly wholeChain: Chain | undefined
}

/**
 * Resolves a salted request. Its session is held in memory: `sessions.release` it when the turn is over. Throws what windows and store
 * throw, and `WINDOW_MISMATCH` for another model, dialect or client salt than the window's; then nothing is held.
 */
export async function prepareTurn(parts: TurnParts, turn: TurnRequest): Promise<Turn> {
  const { caller, control, rules, json, previousResponse } = turn
  const { headers } = turn.request
  const { tenant, policy } = caller
  const checked = nextRoundAfter(turn.raw.bytes)
  if (checked !== undefined) await checked
  const scope = scopeOf(tenant, rules.dialect, headers, json)
  const hashed = previousResponse === undefined ? once(() => chainOfRequest(scope, rules, json)) : () => undefined
  const { isolation, maxSessions } = policy
  const user = userOf(headers, json)
  const opener = { tenant, isolation, user, ...(maxSessions === undefined ? {} : { maxSessions }) }
  const found =
    previousResponse === undefined
      ? await findSession(parts, opener, control, hashed, () => conversationIdOf(headers, json))
      : await sessionOfResponse(parts, tenant, control, previousResponse)
  parts.sessions.hold(found.session)
  try {
    const isMeasured = overflowOf(caller, control) !== 'pass'
    const chain = isMeasured || found.byHistory ? hashed() : undefined
    const round = nextRoundAfter(turn.raw.bytes)
    if (round !== undefined) await round
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
  turn: TurnRequest,
  resolved: FoundSession,
  scope: string,
  chain: Chain | undefined,
): Promise<Turn> {
  const { caller, rules, json, raw, call } = turn
  const { tenant, policy } = caller
  const { found } = resolved
  const model = typeof json.model === 'string' ? json.model : ''
  const { base, continuation, isNew } = hasWindow(turn, resolved)
    ? await windowBefore(parts, turn, resolved, scope)
    : noWindow
  const { models } = parts
  const isMeasured = overflowOf(caller, turn.control) !== 'pass'
  const limits = isMeasured ? await models.limitsToHold(model, call.apiKey) : models.limitsOf(model, call.apiKey)
  // A continuation has its history at the engine, where nobody can measure or cut it.
  const outgoing = turn.previousResponse === undefined ? outgoingOf(json, rules, base, continuation) : undefined
  // Before anything is restored: a refused request leaves the session as it was.
  const fitted: Fitted =
    outgoing === undefined || !isMeasured
      ? {}
      : await fitTurn(parts, fitRequest(turn, resolved.session, outgoing, base, chain, limits.contextLimit))
  const changes = new Map<string, Buffer | string>()
  let wholeChain: Chain | undefined
  if (outgoing !== undefined) {
    const { messagesField } = rules
    if (messagesField !== undefined && (outgoing.before > 0 || fitted.cut !== undefined)) {
      const items = cutItems(messageBytes(outgoing, base, rules, raw, json), fitted.cut)
      turn.held.set(raw.bytes.length + bytesOf(items))
      changes.set(messagesField, listOf(items))
    }
    const note = fitted.cut?.note
    if (note?.kind === 'field') changes.set(note.field, JSON.stringify(note.value))
    if (base !== undefined && outgoing.before > 0) {
      wholeChain = chainOf(scope, [...outerSystemOf(base.prompt.shaping, rules), ...outgoing.messages], rules.canonical)
    }
    for (const [field, value] of Object.entries(outgoing.added)) changes.set(field, JSON.stringify(value))
  }
  const ownUsage = askForUsage(rules, json, raw, changes)
  checkChanges(turn, changes)
  const restored =
    base !== undefined && isNew ? (await parts.windows.thaw(resolved.session, base, call)).restoredTokens : undefined
  const clientSalt = clientSaltOf(json) ?? base?.record.clientSalt
  const { kvEpoch } = parts
  const space = clientSalt === undefined ? { model, kvEpoch } : { model, kvEpoch, clientSalt }
  const entered = parts.sessions.enter(resolved.session, space)
  const session = entered instanceof Promise ? await entered : entered
  // Of the window that stands before this very turn, whatever the session is bound to meanwhile.
  const lineage = base?.record.lineage ?? session.record.lineage
  const salt = session.saltOf(lineage, space, () => parts.saltOf({ tenant, lineage, ...space }))
  const told = parts.quotas.ensure(salt, policy.kvQuotaGb)
  if (told !== undefined) await told
  changes.set('cache_salt', JSON.stringify(salt))
  const names = namesEngineSession(turn.request.headers, json)
  const engineSession = names ? parts.engineSessionOf(tenant, lineage) : undefined
  // Null and the empty string name no session and stay. They are written too, so that the engine reads the value that was read here.
  if (json.session_id !== undefined) {
    changes.set('session_id', JSON.stringify(isUnsaid(json.session_id) ? json.session_id : engineSession))
  }
  const rollover =
    outgoing === undefined || fitted.cut === undefined
      ? undefined
      : await keepWhole(parts, turn, { session, outgoing, base, cut: fitted.cut, clientSalt, lineage })
  const body = setMembers(raw, changes, (key) => Object.hasOwn(json, key), turn.room)
  return {
    session,
    found,
    degraded: session.temporary || resolved.unsure === true,
    restored,
    base,
    body,
    lineage,
    clientSalt,
    engineSession,
    model,
    ownUsage,
    keepsResponse: rules.stored?.keeps(json) === true,
    maxTokens: rules.maxTokens(json),
    // Of several prompts at once the usage is told in one sum, which says nothing of any of them.
    engineLimit:
      Array.isArray(json.prompt) && json.prompt.length > 1 && typeof json.prompt[0] !== 'number'
        ? undefined
        : limits.limit,
    contextLimit: limits.contextLimit,
    messages: outgoing?.messages.length ?? 0,
    shape: fitted.shape,
    rollover,
    scope,
    clientIndex: outgoing === undefined ? (sent) => sent : clientIndexOf(outgoing, fitted.cut),
    chain,
    wholeChain,
    byHistory: resolved.byHistory,
    hasHistory:
      chain === undefined ? outgoing !== undefined && holdsReply(outgoing, rules) : chain.candidates.length > 0,
  }
}

/**
 * Runs before anything is restored or assembled: a replaced member must occur once, and an outgoing body that is a copy counts beside the
 * incoming one. Throws `INVALID_FIELD` or `OVERLOADED`.
 */
function checkChanges({ raw, json, room, held }: TurnRequest, changes: ReadonlyMap<string, Buffer | string>): void {
  const salted = Object.hasOwn(json, 'cache_salt')
  if (changes.size === 0 && room > 0 && !salted) return
  const replaced = [...changes.keys()].filter((key) => Object.hasOwn(json, key))
  if (replaced.length > 0) raw.requireOnce(replaced)
  const added = bytesOf(changes.values())
  if (salted || replaced.length > 0 || added >= room / 2) held.set(2 * raw.bytes.length + added)
}

const noWindow: WindowBefore = { base: undefined, continuation: undefined, isNew: false }

function hasWindow({ control }: TurnRequest, { session }: FoundSession): boolean {
  return control.window !== undefined || session.record.baseWindow !== undefined
}

/** Read from the end: the last reply stands near it. */
function holdsReply({ messages }: Outgoing, rules: DialectRules): boolean {
  return messages.findLast((message) => rules.isFromModel(message)) !== undefined
}

/** Hashing a long history costs more than all else of a turn, so it is done when somebody asks, and once. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** What of a turn is held against the limit. */
function fitRequest(
  { caller, control, rules, json, call }: TurnRequest,
  { record }: LiveSession,
  outgoing: Outgoing,
  base: BaseWindow | undefined,
  chain: Chain | undefined,
  limit: number | undefined,
): FitRequest {
  const { nearLimit } = caller.policy
  const policy = overflowOf(caller, control)
  // Its ids are the window's messages under what shapes the window: another system prompt or tools make another prompt.
  const isBehind = base !== undefined && outgoing.before > 0
  const sameShape = isBehind && JSON.stringify(base.prompt.shaping) === JSON.stringify(outgoing.shaping)
  return {
    policy,
    nearLimit,
    rules,
    json,
    outgoing,
    limit,
    chain,
    windowTokens: sameShape ? wholeTokens(base, record.thaw) : 0,
    window: record.auto?.window ?? record.baseWindow,
    call,
  }
}

/** Completions have no messages, so nothing but a name can tell their session. */
function chainOfRequest(scope: string, rules: DialectRules, json: JsonObject): Chain | undefined {
  if (rules.messagesField === undefined) return undefined
  return chainOf(scope, [...outerSystemOf(json, rules), ...rules.readMessages(json)], rules.canonical)
}

/** Asks for the usage event of a stream whose client did not; answers whether it did. Other fields of `stream_options` stay as they are. */
function askForUsage(
  rules: DialectRules,
  json: JsonObject,
  raw: RawObject,
  changes: Map<string, Buffer | string>,
): boolean {
  if (!rules.usageOnRequest || !isTruthy(json.stream)) return false
  const options = json.stream_options
  if (options === undefined || options === null) changes.set('stream_options', '{"include_usage":true}')
  else if (isObject(options) && !isTruthy(options.include_usage)) {
    const span = raw.find('stream_options')
    if (span === undefined) return false
    const own = new RawObject(raw.bytes.subarray(span.start, span.end))
    changes.set(
      'stream_options',
      setMembers(own, withUsage, (key) => Object.hasOwn(options, key)),
    )
  } else return false
  return true
}

/** Without `continuous_usage_stats: false` each event would change: docs/engine-behavior.md#stream-usage. */
const withUsage = new Map([
  ['include_usage', 'true'],
  ['continuous_usage_stats', 'false'],
])
