// The hot path: a request in, one dispatch, an answer out, and what is remembered of it. Works on Node's own request and response.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Admission } from '../admission/admission.ts'
import type { BodyBudget, HeldBody } from '../admission/body-budget.ts'
import { type CwmError, clientGone, toCwmError } from '../base/errors.ts'
import type { JsonBodies } from '../base/json-bodies.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import { RequestScope } from '../base/request-scope.ts'
import { type Caller, requireModel } from '../base/tenants.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { isTruthy } from '../dialects/fields.ts'
import { messageFields, rulesAt, rulesOf } from '../dialects/index.ts'
import { RawObject } from '../dialects/raw-json.ts'
import { type OutgoingOptions, outgoingHeaders } from '../engines/headers.ts'
import {
  checkControl,
  checkPage,
  contextHeader,
  namingHeader,
  readControlHeaders,
} from '../identity/control-headers.ts'
import type { Timeline } from '../journal/timeline.ts'
import { overflowOf } from '../near-limit/overflow.ts'
import type { RetainedTurns } from '../sessions/retained.ts'
import type { Choices } from '../tenants/choices.ts'
import { setEngineSession } from '../turn/engine-session.ts'
import { checkFields } from '../turn/guard.ts'
import { prepareTurn, type TurnParts } from '../turn/turn.ts'
import { type MemoryParts, TurnMemory } from '../turn/turn-memory.ts'
import type { AutoThaw } from '../windows/auto-thaw.ts'
import type { Windows } from '../windows/windows.ts'
import { type BodyLimits, hasBody, type ReadBody, readJson, readWhole } from './body.ts'
import { ClientResponse } from './client-response.ts'
import { Dispatcher, type DispatchOptions, type DispatchParts, sessionEnded } from './dispatch.ts'
import { askedWhole, asksForModels } from './model-limits.ts'
import { closeNote, type Note, openNote } from './note.ts'
import { type OwnModelsParts, sendOwnModels } from './own-models.ts'
import { Preflights } from './preflights.ts'
import {
  matchRoute,
  type PlainRoute,
  type Route,
  type RouteLists,
  type SaltedRoute,
  type StoredRoute,
} from './routes.ts'

export interface ProxyOptions extends BodyLimits, DispatchOptions {
  readonly routes: RouteLists
  readonly preserveHost: boolean
  /** Replaces the client's key towards the upstream; null: no key goes there; undefined: the client's own does. */
  readonly upstreamApiKey: string | null | undefined
  readonly maxPreflights: number
}

export interface ProxyParts extends TurnParts, MemoryParts, OwnModelsParts, DispatchParts {
  readonly windows: Windows
  readonly retained: RetainedTurns
  readonly autoThaw: Pick<AutoThaw, 'onReturn'>
  readonly admission: Pick<Admission, 'enter'>
  readonly bodies: Pick<BodyBudget, 'open'>
  readonly json: Pick<JsonBodies, 'parse' | 'checkMessages'>
  readonly choices: Pick<Choices, 'applyTo'>
  readonly timeline: Pick<Timeline, 'began' | 'used'>
  readonly log: Logger
  readonly metrics: Metrics
  readonly now: () => number
}

const noFields: ReadonlySet<string> = new Set()
const DISPATCH = 'its request was dispatched'

export class ProxyHandler {
  readonly #parts: ProxyParts
  readonly #options: ProxyOptions
  readonly #dispatcher: Dispatcher
  readonly #preflights: Preflights

  constructor(parts: ProxyParts, options: ProxyOptions) {
    this.#parts = parts
    this.#options = options
    this.#preflights = new Preflights(options.maxPreflights, parts.metrics)
    this.#dispatcher = new Dispatcher(parts, options, this.#preflights)
  }

  /** Answers one request. Never throws: what goes wrong is answered in the client's dialect and logged. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    identify: (request: IncomingMessage) => Caller,
  ): Promise<void> {
    const note = openNote(this.#parts, request, new RequestScope(response))
    response.once('close', () => closeNote(this.#parts, note, request, response))
    const client = new ClientResponse(response, note.requestId, this.#preflights.headersFor(request))
    try {
      const route = matchRoute(this.#options.routes, request.method ?? 'GET', request.url ?? '/')
      note.route = route.kind === 'stored' ? route.label : route.path
      const rules = rulesOfRoute(route)
      if (rules !== undefined) client.errors = rules.errors
      // Browsers send it before the request itself, without a key.
      if (route.kind === 'plain' && request.method === 'OPTIONS') {
        this.#preflights.enter(request, note.scope)
        this.#plain(request, response, route, client, note, undefined)
        return
      }
      // Also before plain paths: the operator's key must not reach the upstream. A preflight carries none.
      const caller = identify(request)
      note.caller = caller
      // Before the body is read, which waits in the client's socket. What has none is no work: a health check must not wait behind work.
      const turn = hasBody(request) ? this.#parts.admission.enter(caller, note.scope) : undefined
      if (turn !== undefined) await turn
      if (route.kind === 'salted') await this.#salted(request, response, route, client, note, caller)
      else if (route.kind === 'stored') await this.#stored(request, response, route, client, note, caller)
      else await this.#plainOf(caller, request, response, route, client, note)
    } catch (thrown) {
      this.#refuse(request, client, note, namingHeader(toCwmError(thrown)))
    }
  }

  /** Passed on as it is, once it is known to be this tenant's. */
  async #stored(
    request: IncomingMessage,
    response: ServerResponse,
    route: StoredRoute,
    client: ClientResponse,
    note: Note,
    caller: Caller,
  ): Promise<void> {
    const { record } = await this.#parts.responses.require(caller.tenant, route.responseId)
    note.session = record.id
    const read = await this.#readPlain(request, note, caller)
    if (note.scope.isGone) throw clientGone(DISPATCH)
    client.set('x-cwm-session', record.id)
    this.#plain(request, response, route, client, note, caller, read)
  }

  /** For a tenant that may not use all models, the list of models is its own. */
  async #plainOf(
    caller: Caller,
    request: IncomingMessage,
    response: ServerResponse,
    route: PlainRoute,
    client: ClientResponse,
    note: Note,
  ): Promise<void> {
    const { policy } = caller
    if (policy.models !== undefined && route.path === '/v1/models') {
      readControlHeaders(request.headers, {})
      note.status = await sendOwnModels(client, this.#parts, caller.apiKey, policy.models, note.scope.signal)
      return
    }
    const read = await this.#readPlain(request, note, caller)
    if (note.scope.isGone) throw clientGone(DISPATCH)
    this.#plain(request, response, route, client, note, caller, read)
  }

  /**
   * The body for a path that is passed on, read whole first: one that never ends would hold a connection of the engine. A tenant that may
   * not use all models is held to those that the body names.
   */
  async #readPlain(request: IncomingMessage, note: Note, caller: Caller): Promise<Buffer | undefined> {
    if (!hasBody(request)) return undefined
    const held = this.#parts.bodies.open(caller.tenant, note.scope)
    if (caller.policy.models === undefined) return await readWhole(request, this.#options, held)
    const { bytes, json } = await this.#readJson(request, note, caller, held)
    requireModel(caller.policy, json.model)
    return bytes
  }

  #plain(
    request: IncomingMessage,
    response: ServerResponse,
    route: PlainRoute | StoredRoute,
    client: ClientResponse,
    note: Note,
    caller: Caller | undefined,
    read?: Buffer,
  ): void {
    readControlHeaders(request.headers, {})
    const models = asksForModels(request.method, route.path)
    const headers = this.#outgoing(request, caller, { identity: models, ownLength: read !== undefined })
    this.#dispatcher.send(request, response, route, client, note, {
      headers: models ? askedWhole(headers) : headers,
      body: read,
      session: undefined,
      rules: undefined,
      models,
      streams: false,
      ownUsage: false,
      observed: () => {},
      began: undefined,
      delivered: () => {},
    })
  }

  async #salted(
    request: IncomingMessage,
    response: ServerResponse,
    route: SaltedRoute,
    client: ClientResponse,
    note: Note,
    given: Caller,
  ): Promise<void> {
    const { windows, metrics } = this.#parts
    const rules = rulesOf(route.dialect)
    const chosen = this.#parts.choices.applyTo(given)
    const caller = chosen instanceof Promise ? await chosen : chosen
    const control = readControlHeaders(request.headers, route)
    checkPage(request, control)
    const headers = this.#outgoing(request, caller, { identity: true, ownLength: true })
    const held = this.#parts.bodies.open(caller.tenant, note.scope)
    const { bytes, json, room } = await this.#readJson(request, note, caller, held)
    if (typeof json.model === 'string') note.model = json.model
    requireModel(caller.policy, json.model)
    this.#parts.json.checkMessages(json, messageFields)
    const raw = new RawObject(bytes)
    checkFields(raw, json, rules, caller.policy.allowedFields)
    const previousResponse = rules.stored?.continued(json)
    checkControl(control, rules, previousResponse !== undefined)
    const reservation = control.freeze === undefined ? undefined : await windows.reserve(caller.tenant, control.freeze)
    try {
      const { apiKey, actor } = caller
      // A thaw and a count call the upstream before the dispatch: for this client alone, so they end with it.
      const calls = control.window !== undefined || overflowOf(caller, control) !== 'pass'
      const call = calls ? { apiKey, actor, signal: note.scope.signal } : { apiKey, actor }
      const turn = await prepareTurn(this.#parts, {
        caller,
        control,
        rules,
        request,
        raw,
        json,
        held,
        room,
        previousResponse,
        call,
      })
      const { sessions, autoThaw } = this.#parts
      note.scope.onClose(() => sessions.release(turn.session))
      note.session = turn.session.record.id
      metrics.sessions.inc(turn.found)
      if (turn.degraded) {
        metrics.degradedTurns.inc()
        client.set('x-cwm-degraded', 'store')
      }
      const back = turn.restored === undefined ? autoThaw.onReturn(turn.session, { apiKey }) : undefined
      if (back !== undefined) await Promise.race([back, note.scope.whenGone()])
      const may = sessions.mayDispatch(turn.session, turn.lineage)
      if (!(typeof may === 'boolean' ? may : await may)) throw sessionEnded()
      if (note.scope.isGone) throw clientGone(DISPATCH)
      if (turn.contextLimit !== undefined) turn.session.limitTo(turn.contextLimit)
      client.set('x-cwm-session', turn.session.record.id)
      client.set('x-cwm-window', turn.base?.record.name)
      if (turn.restored !== undefined && turn.restored !== null) client.set('x-cwm-restored', String(turn.restored))
      if (reservation !== undefined) client.promise('x-cwm-freeze', 'pending')
      client.set('x-cwm-context', contextHeader(turn.session.record))
      client.set('x-cwm-rollover', turn.rollover?.window)
      // A stream's headers were out before anybody could know.
      if (turn.session.record.truncation?.streamed === true) client.set('x-cwm-truncated', 'context; turn=previous')
      const memory = new TurnMemory(this.#parts, turn, rules, reservation, caller)
      response.once('finish', () => memory.delivered())
      note.scope.onClose(() => memory.closed())
      this.#dispatcher.send(request, response, route, client, note, {
        headers: setEngineSession(headers, turn.engineSession),
        body: turn.body,
        session: turn.session,
        rules,
        models: false,
        streams: isTruthy(json.stream),
        ownUsage: turn.ownUsage,
        observed: (observation, status) => {
          const { usage, truncated } = memory.observe(observation, status, client.headersSent)
          if (truncated) client.set('x-cwm-truncated', 'context')
          if (usage === undefined) return
          note.promptTokens = usage.promptTokens
          if (usage.cachedTokens !== undefined) note.cachedTokens = usage.cachedTokens
          client.set('x-cwm-context', contextHeader(turn.session.record))
        },
        delivered: () => memory.delivered(),
        began: isTruthy(json.stream) ? (ms) => this.#parts.timeline.began(caller.tenant, ms) : undefined,
      })
    } catch (error) {
      reservation?.release()
      throw error
    }
  }

  #readJson(request: IncomingMessage, { scope }: Note, { tenant }: Caller, held: HeldBody): Promise<ReadBody> {
    return readJson(request, this.#options, this.#parts.json, held, { tenant, scope })
  }

  #outgoing(
    request: IncomingMessage,
    caller: Caller | undefined,
    kind: Pick<OutgoingOptions, 'identity' | 'ownLength'>,
  ): string[] {
    const { preserveHost, upstreamApiKey } = this.#options
    return outgoingHeaders(request.rawHeaders, {
      preserveHost,
      // A preflight is nobody's: it takes no key along.
      apiKey: caller === undefined ? null : upstreamApiKey,
      clientAddress: request.socket.remoteAddress,
      clientProtocol: 'http',
      allowed: caller?.policy.allowedFields ?? noFields,
      ...kind,
    })
  }

  #refuse(request: IncomingMessage, client: ClientResponse, note: Note, error: CwmError): void {
    note.status = error.status
    note.code = error.code
    if (error.bound !== undefined) this.#parts.metrics.refusedBodies.inc({ bound: error.bound })
    if (error.code === 'INTERNAL')
      this.#parts.log.error({ request: note.requestId, err: error.cause ?? error }, 'request failed')
    if (!client.gone) client.fail(error)
    // What is still to come of it is thrown away, and needs neither slot nor room.
    if (!request.complete) note.scope.close()
  }
}

/** Undefined on paths of no dialect. */
function rulesOfRoute(route: Route): DialectRules | undefined {
  return route.kind === 'salted' ? rulesOf(route.dialect) : rulesAt(route.path)
}
