// Prepares a turn: finds its session and the window before it, and makes the bytes that are sent to the engine.

import type { JsonObject } from '../base/json.ts'
import type { KvSpace, Rollover, ThawReceipt } from '../base/records.ts'
import { inPhase } from '../base/request-trace.ts'
import { yieldAfter } from '../base/yield-after.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { replaceMembers, setMembers } from '../dialects/raw-json.ts'
import type { Engine, ModelLimits } from '../engines/engine.ts'
import type { EngineFleet } from '../engines/fleet.ts'
import { type Chain, chainOf } from '../identity/chain.ts'
import { conversationIdOf } from '../identity/known-clients.ts'
import { scopeOf } from '../identity/scope.ts'
import { userOf } from '../identity/user.ts'
import type { SaltQuotas } from '../kv/quotas.ts'
import { clientIndexOf, type OutgoingPrompt, outgoingOf } from '../near-limit/outgoing.ts'
import type { Fitted } from '../near-limit/overflow.ts'
import type { LiveSession } from '../sessions/live-session.ts'
import type { BaseWindow } from '../windows/base-windows.ts'
import type { Windows } from '../windows/windows.ts'
import { addIds, type BodyEdits, editsOf } from './body-edits.ts'
import { namesEngineSession } from './engine-session.ts'
import { turnNeed } from './expected-tokens.ts'
import { type FindParts, type Found, type FoundSession, findSession, sessionOfResponse } from './find-session.ts'
import { fitToLimit, isMeasured, type LimitParts, recordIfCut } from './fit-to-limit.ts'
import { type Opening, openingOf } from './opening.ts'
import type { TurnRequest } from './turn-request.ts'
import { clientSaltOf, outerSystemOf, type WindowBefore, windowBefore } from './window-before.ts'

export interface TurnParts extends FindParts, LimitParts {
  readonly fleet: EngineFleet
  readonly windows: Windows
  readonly saltOf: (space: KvSpace & { tenant: string; lineage: string }) => string
  /** The session id that the engine gets instead of the client's. */
  readonly engineSessionOf: (tenant: string, lineage: string) => string
  readonly quotas: Pick<SaltQuotas, 'ensure'>
  /** The current KV epoch. */
  readonly kvEpoch: number
}

/** How the session of a turn was found, and how the next turn will find it. */
export interface TurnOrigin {
  readonly found: Found
  /** The store was unavailable, so a session with this history may have been missed. */
  readonly unsure: boolean
  /** The scope in which its history was looked up. */
  readonly scope: string
  /** Whether its history leads to its session. Named sessions are found by their name, so their history is not hashed. */
  readonly byHistory: boolean
  /** Whether the request contains a reply. */
  readonly hasHistory: boolean
  /** The chain over the client's messages, to which the reply is added. Undefined for completions, for continuations, and if it is not needed. */
  readonly chain: Chain | undefined
  /** Behind a window: the chain over window and messages. The client may send back only its own messages, or all of them. */
  readonly wholeChain: Chain | undefined
}

/** What is kept of its prompt: sizes and positions, no text. */
export interface TurnPrompt {
  /** Number of messages before any cut, including the window's; 0 if the engine has the history. */
  readonly messages: number
  /** Everything but messages that shapes the prompt. Undefined if it was not measured. */
  readonly shape: string | undefined
  /** Where it is cut; undefined if it is sent whole. */
  readonly rollover: Rollover | undefined
  /** Maps an index in the sent messages to one in the client's; undefined for messages that the client did not send. */
  readonly clientIndex: (sent: number) => number | undefined
}

/** Limits in tokens; undefined if unknown. */
export interface TurnBounds {
  /** The client's maximum for the answer. */
  readonly maxTokens: number | undefined
  /** The engine's own limit. */
  readonly engineLimit: number | undefined
  /** The limit that cwm enforces for the session. */
  readonly contextLimit: number | undefined
}

/** What is sent to the engine. */
export interface SentTurn {
  readonly model: string
  /** Salt included. */
  readonly body: Buffer
  /** The lineage that the salt was derived from. The session may be bound to another window before this turn ends. */
  readonly lineage: string
  readonly clientSalt: string | undefined
  /** Replaces the client's session id, in the body and in `x-session-id`; undefined if it sent none. */
  readonly engineSession: string | undefined
  /** cwm requested the usage event; the client did not. */
  readonly ownUsage: boolean
  /** The engine may store the answer under its own id. */
  readonly keepsResponse: boolean
}

export interface Turn {
  readonly session: LiveSession
  /** The engine that it is sent to, was measured for, and has its window restored on. */
  readonly engine: Engine
  readonly origin: TurnOrigin
  /** The window that stands before it. */
  readonly base: BaseWindow | undefined
  /** Tokens restored by this request's thaw. Undefined without a thaw, null if the engine does not report it. */
  readonly restored: number | null | undefined
  readonly prompt: TurnPrompt
  /** Of the first turn of a session that shares no KV with any other; otherwise undefined. */
  readonly opening: Opening | undefined
  readonly bounds: TurnBounds
  readonly sent: SentTurn
}

/** The store did not answer: the turn is isolated and cold, and its session may not be found again. */
export function isDegraded({ session, origin }: Turn): boolean {
  return session.temporary || origin.unsure
}

/**
 * Prepares a salted request. Its session is held in memory until `sessions.release`. Throws what windows and store throw, and
 * `WINDOW_MISMATCH` if model, dialect or client salt differ from the window's; nothing is held then.
 */
export async function prepareTurn(parts: TurnParts, turn: TurnRequest): Promise<Turn> {
  const { caller, rules, json, raw, headers } = turn
  await yieldAfter(raw.bytes)
  const scope = scopeOf(caller.tenant, rules.dialect, headers, json)
  const hashed = turn.previousResponse === undefined ? once(() => chainOfRequest(scope, rules, json)) : () => undefined
  const found = await findOwner(parts, turn, hashed)
  parts.sessions.hold(found.session)
  try {
    const chain = isMeasured(turn) || found.byHistory ? hashed() : undefined
    await yieldAfter(raw.bytes)
    const resolved = { found, scope, chain }
    const built = await completeTurn(parts, turn, resolved, await planTurn(parts, turn, resolved))
    if (built.session !== found.session) parts.sessions.release(found.session)
    return built
  } catch (error) {
    parts.sessions.release(found.session)
    throw error
  }
}

/**
 * The same turn in a session of this process alone: cold, and isolated. For a store that stopped answering after the turn was prepared, before
 * it was dispatched. Throws `OVERLOADED` if there is no memory for a second copy of the body.
 */
export async function turnWithoutStore(parts: TurnParts, request: TurnRequest, turn: Turn): Promise<Turn> {
  const { caller, json, held } = request
  const { model, body, clientSalt } = turn.sent
  const session = parts.sessions.withoutStore(turn.session)
  const { lineage } = session.record
  const salt = parts.saltOf({ tenant: caller.tenant, lineage, ...spaceOf(model, parts.kvEpoch, clientSalt) })
  await parts.quotas.ensure(salt, caller.policy.kvQuotaGb)
  const engineSession = engineSessionOf(parts, request, lineage)
  const ids = new Map<string, Buffer | string>()
  addIds(ids, json, salt, engineSession)
  held.set(2 * body.length)
  return {
    ...turn,
    session,
    opening: undefined,
    sent: { ...turn.sent, body: replaceMembers(body, ids), lineage, engineSession },
  }
}

function findOwner(
  parts: TurnParts,
  { caller, control, json, headers, previousResponse }: TurnRequest,
  hashed: () => Chain | undefined,
): Promise<FoundSession> {
  const { tenant, policy } = caller
  if (previousResponse !== undefined) return sessionOfResponse(parts, tenant, control, previousResponse)
  const { isolation, maxSessions } = policy
  const user = userOf(headers, json)
  const owner = maxSessions === undefined ? { tenant, isolation, user } : { tenant, isolation, user, maxSessions }
  return findSession(parts, owner, control, hashed, () => conversationIdOf(headers, json))
}

/** The session of a turn, and the hash of its history. */
interface Resolved {
  readonly found: FoundSession
  readonly scope: string
  readonly chain: Chain | undefined
}

/** What is known of a turn before it enters its session's KV space. */
interface Planned {
  readonly model: string
  readonly base: BaseWindow | undefined
  readonly engine: Engine
  readonly limits: ModelLimits
  /** A continuation has its history at the engine, where nobody can measure or cut it. */
  readonly outgoing: OutgoingPrompt | undefined
  readonly fitted: Fitted
  readonly edits: BodyEdits
  readonly restored: number | null | undefined
}

/** Steps that may reject the request come first, so nothing is restored for a rejected request. */
async function planTurn(parts: TurnParts, turn: TurnRequest, resolved: Resolved): Promise<Planned> {
  const { json, rules, call } = turn
  const { found } = resolved
  const model = modelOf(json)
  const window = hasWindow(turn, found) ? await windowBefore(parts, turn, found, resolved.scope) : noWindow
  const { base } = window
  const engine = await pickEngine(parts, found, base, model)
  const { models } = engine
  const limits = isMeasured(turn) ? await models.limitsToHold(model, call.apiKey) : models.limitsOf(model, call.apiKey)
  const outgoing = turn.previousResponse === undefined ? outgoingOf(json, rules, base, window.continuation) : undefined
  const { session } = found
  const sized = { session, chain: resolved.chain, outgoing, base, engine, limit: limits.contextLimit }
  const fitted = await fitToLimit(parts, turn, sized)
  const edits = editsOf(turn, base, outgoing, fitted.cut)
  const isThawed = base !== undefined && window.isNew
  // Before the thaw: a request over its limit costs the engine nothing.
  if (turn.charge !== undefined) {
    const { limit } = limits
    await turn.charge.reserve(turnNeed({ json, rules, found, base, isThawed, outgoing, cut: fitted.cut, limit }))
  }
  const restored = isThawed
    ? (await inPhase(turn.trace, 'thaw', () => parts.windows.thaw(found.session, base, call), ofThaw)).restoredTokens
    : undefined
  return { model, base, engine, limits, outgoing, fitted, edits, restored }
}

const ofThaw = ({ restoredTokens }: ThawReceipt) => ({ 'cwm.restored_tokens': restoredTokens ?? undefined })

function pickEngine(
  { fleet }: TurnParts,
  { session, engineId }: FoundSession,
  base: BaseWindow | undefined,
  model: string,
): Engine | Promise<Engine> {
  const { tenant, id: sessionId, lineage } = session.record
  const need = { tenant, lineage: base?.record.lineage ?? lineage, sessionId, model }
  return fleet.pick(engineId === undefined ? need : { ...need, engineId })
}

/** Enters the KV space of the turn, and adds its ids to the body. */
async function completeTurn(parts: TurnParts, turn: TurnRequest, resolved: Resolved, plan: Planned): Promise<Turn> {
  const { caller, json } = turn
  const { base, outgoing, fitted } = plan
  const clientSalt = clientSaltOf(json) ?? base?.record.clientSalt
  const space = spaceOf(plan.model, parts.kvEpoch, clientSalt)
  const session = await parts.sessions.enter(resolved.found.session, space)
  // That of the window before this turn, even if the session was bound to another one meanwhile.
  const lineage = base?.record.lineage ?? session.record.lineage
  const salt = session.saltOf(lineage, space, () => parts.saltOf({ tenant: caller.tenant, lineage, ...space }))
  await parts.quotas.ensure(salt, caller.policy.kvQuotaGb)
  const engineSession = engineSessionOf(parts, turn, lineage)
  addIds(plan.edits.changes, json, salt, engineSession)
  const rollover = await recordIfCut(parts, turn, outgoing, fitted.cut, { session, base, clientSalt, lineage })
  return turnOf(turn, resolved, plan, { session, rollover, lineage, clientSalt, engineSession })
}

function turnOf(
  { json, raw, rules, room }: TurnRequest,
  resolved: Resolved,
  { model, base, engine, limits, outgoing, fitted, edits, restored }: Planned,
  { session, rollover, lineage, clientSalt, engineSession }: Entered,
): Turn {
  const body = setMembers(raw, edits.changes, (key) => Object.hasOwn(json, key), room)
  const keepsResponse = rules.stored?.keeps(json) === true
  return {
    session,
    engine,
    origin: originOf(resolved, rules, base, outgoing),
    base,
    restored,
    prompt: promptOf(outgoing, fitted, rollover),
    opening: isAlone(session, base) ? openingOf(json, rules, raw.bytes.length) : undefined,
    bounds: boundsOf(rules, json, limits),
    sent: { model, body, lineage, clientSalt, engineSession, ownUsage: edits.ownUsage, keepsResponse },
  }
}

/** Whether this is the first turn of a session that shares no KV with any other. */
function isAlone({ record }: LiveSession, base: BaseWindow | undefined): boolean {
  return record.turns === 0 && record.shared === undefined && base === undefined
}

interface Entered {
  readonly session: LiveSession
  readonly rollover: Rollover | undefined
  readonly lineage: string
  readonly clientSalt: string | undefined
  readonly engineSession: string | undefined
}

function modelOf({ model }: JsonObject): string {
  return typeof model === 'string' ? model : ''
}

function spaceOf(model: string, kvEpoch: number, clientSalt: string | undefined): KvSpace {
  return clientSalt === undefined ? { model, kvEpoch } : { model, kvEpoch, clientSalt }
}

const asSent = (sent: number) => sent

function originOf(
  { found, scope, chain }: Resolved,
  rules: DialectRules,
  base: BaseWindow | undefined,
  outgoing: OutgoingPrompt | undefined,
): TurnOrigin {
  return {
    found: found.found,
    unsure: found.unsure === true,
    scope,
    byHistory: found.byHistory,
    hasHistory:
      chain === undefined ? outgoing !== undefined && holdsReply(outgoing, rules) : chain.candidates.length > 0,
    chain,
    wholeChain: wholeChainOf(scope, rules, base, outgoing),
  }
}

function wholeChainOf(
  scope: string,
  rules: DialectRules,
  base: BaseWindow | undefined,
  outgoing: OutgoingPrompt | undefined,
): Chain | undefined {
  if (base === undefined || outgoing === undefined || outgoing.before === 0) return undefined
  return chainOf(scope, [...outerSystemOf(base.prompt.shaping, rules), ...outgoing.messages], rules.canonical)
}

function promptOf(outgoing: OutgoingPrompt | undefined, fitted: Fitted, rollover: Rollover | undefined): TurnPrompt {
  const clientIndex = outgoing === undefined ? asSent : clientIndexOf(outgoing, fitted.cut)
  return { messages: outgoing?.messages.length ?? 0, shape: fitted.shape, rollover, clientIndex }
}

function boundsOf(rules: DialectRules, json: JsonObject, { limit, contextLimit }: ModelLimits): TurnBounds {
  const { prompt } = json
  // For several prompts the engine reports one sum, which says nothing about any single one.
  const isSeveral = Array.isArray(prompt) && prompt.length > 1 && typeof prompt[0] !== 'number'
  return { maxTokens: rules.maxTokens(json), engineLimit: isSeveral ? undefined : limit, contextLimit }
}

/** The session id for the engine, if the request names one. */
function engineSessionOf(
  parts: TurnParts,
  { caller, headers, json }: TurnRequest,
  lineage: string,
): string | undefined {
  return namesEngineSession(headers, json) ? parts.engineSessionOf(caller.tenant, lineage) : undefined
}

const noWindow: WindowBefore = { base: undefined, continuation: undefined, isNew: false }

function hasWindow({ control }: TurnRequest, { session }: FoundSession): boolean {
  return control.window !== undefined || session.record.baseWindow !== undefined
}

/** Searches from the end, because the last reply is near it. */
function holdsReply({ messages }: OutgoingPrompt, rules: DialectRules): boolean {
  return messages.findLast((message) => rules.isFromModel(message)) !== undefined
}

/** Hashing a long history costs more than the rest of a turn, so it is done on demand, and once. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}

/** Undefined for completions: they have no messages, so only a name identifies their session. */
function chainOfRequest(scope: string, rules: DialectRules, json: JsonObject): Chain | undefined {
  if (rules.messagesField === undefined) return undefined
  return chainOf(scope, [...outerSystemOf(json, rules), ...rules.readMessages(json)], rules.canonical)
}
