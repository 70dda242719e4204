// Entry of the hot path: finds a request's route and caller, and hands its body on. Turns are run by turn/; everything else is passed on. Works
// on Node's own request and response.

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { BodyBudget } from '../admission/body-budget.ts'
import { hasBody } from '../admission/read-bytes.ts'
import { CwmError, clientGone, toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import { RequestScope } from '../base/request-scope.ts'
import type { RequestTracer } from '../base/request-trace.ts'
import { type Caller, requireModel } from '../base/tenants.ts'
import type { UsageSink } from '../base/usage-sink.ts'
import type { DialectRules } from '../dialects/dialect.ts'
import { isTruthy } from '../dialects/fields.ts'
import { rulesAt, rulesOf } from '../dialects/index.ts'
import { anyEngine, type EngineFleet, type EngineNeed } from '../engines/fleet.ts'
import { type OutgoingOptions, outgoingHeaders } from '../engines/headers.ts'
import { type HeaderRule, withAffinity, withoutAffinity, withoutSession } from '../engines/router-headers.ts'
import { type ControlHeaders, checkPage, readControlHeaders, withHeaderParam } from '../identity/control-headers.ts'
import type { RateCharge } from '../rate-limits/rate-charge.ts'
import type { RateLimiter } from '../rate-limits/rate-limiter.ts'
import type { Callers } from '../tenants/callers.ts'
import type { TenantOverrides } from '../tenants/overrides.ts'
import type { TurnRunner } from '../turn/runner.ts'
import type { StatelessRunner, StatelessSink } from '../turn/stateless-runner.ts'
import { responseNeed, type StoredResponses } from '../turn/stored-responses.ts'
import type { BodyLimits } from './body.ts'
import { BodyReader, type BodyReaderParts } from './body-reader.ts'
import { type AnswerParts, type ClientAnswerOptions, ClientAnswers } from './client-answers.ts'
import { ClientResponse } from './client-response.ts'
import { ClientTurn } from './client-turn.ts'
import type { Exchange } from './exchange.ts'
import { askedWhole, asksForModels } from './model-limits.ts'
import { sendOwnModels } from './own-models.ts'
import { Preflights } from './preflights.ts'
import { closeRequestRecord, openRequestRecord } from './request-record.ts'
import {
  type ApiRoute,
  matchRoute,
  type PlainRoute,
  type Route,
  type RouteLists,
  type SessionRoute,
  type StoredRoute,
} from './routes.ts'

export interface ProxyOptions extends BodyLimits, ClientAnswerOptions {
  readonly routes: RouteLists
  readonly preserveHost: boolean
  /** Headers that cwm sets itself to tell a router where a request belongs, lower case. Undefined: none. */
  readonly affinityHeaders: ReadonlySet<string> | undefined
  /** Sent to the engine instead of the client's key. Null: no key is sent. Undefined: the client's key is sent. */
  readonly upstreamApiKey: string | null | undefined
  readonly maxPreflights: number
}

export interface ProxyParts extends AnswerParts, BodyReaderParts {
  readonly runner: Pick<TurnRunner, 'run'>
  readonly responses: Pick<StoredResponses, 'require'>
  readonly stateless: Pick<StatelessRunner, 'run'>
  readonly callers: Pick<Callers, 'identifyOperator'>
  readonly fleet: EngineFleet
  readonly bodies: Pick<BodyBudget, 'open'>
  readonly overrides: Pick<TenantOverrides, 'applyTo'>
  readonly rates: Pick<RateLimiter, 'open'>
  /** Undefined: no request is traced. */
  readonly tracer: RequestTracer | undefined
  readonly log: Logger
  readonly metrics: Metrics
  readonly ledger: UsageSink
}

const noFields: ReadonlySet<string> = new Set()

export class ProxyHandler {
  readonly #parts: ProxyParts
  readonly #options: ProxyOptions
  readonly #bodyReader: BodyReader
  readonly #answers: ClientAnswers
  readonly #preflights: Preflights
  readonly #headerRule: HeaderRule
  /** Of requests that get no session of cwm's in place of one that they name. */
  readonly #sessionlessRule: HeaderRule

  constructor(parts: ProxyParts, options: ProxyOptions) {
    this.#parts = parts
    this.#options = options
    const { affinityHeaders } = options
    const withOwn = affinityHeaders === undefined ? undefined : withAffinity(affinityHeaders)
    this.#headerRule = withOwn ?? withoutAffinity
    this.#sessionlessRule = withOwn ?? withoutSession
    this.#bodyReader = new BodyReader(parts, options)
    this.#preflights = new Preflights(() => options.maxPreflights, parts.metrics)
    this.#answers = new ClientAnswers(parts, options, this.#preflights)
  }

  /** Answers one request. Never throws: errors are sent in the client's dialect, and logged. */
  async handle(
    request: IncomingMessage,
    response: ServerResponse,
    identify: (request: IncomingMessage) => Caller | Promise<Caller>,
  ): Promise<void> {
    const entry = openRequestRecord(this.#parts, request, new RequestScope(response))
    response.once('close', () => closeRequestRecord(this.#parts, entry, request, response))
    const client = new ClientResponse(response, entry.requestId, this.#preflights.headersFor(request))
    const exchange = { request, response, client, entry }
    try {
      const route = matchRoute(this.#options.routes, request.method ?? 'GET', request.url ?? '/')
      entry.route = route.kind === 'stored' ? route.label : route.path
      const rules = rulesOfRoute(route)
      if (rules !== undefined) client.errors = rules.errors
      // Browsers send preflights before the request itself, without a key.
      if (route.kind === 'plain' && request.method === 'OPTIONS') {
        this.#preflights.enter(request, entry.scope)
        await this.#pass(exchange, route, anyEngine, undefined)
        return
      }
      // Plain paths too: the operator's key must not reach the engine.
      const isOperator = route.kind === 'operator'
      const identified = isOperator ? this.#parts.callers.identifyOperator(request) : identify(request)
      const caller = identified instanceof Promise ? await identified : identified
      entry.caller = caller
      entry.isMetered = route.kind === 'session' || route.kind === 'stateless'
      if (route.kind === 'session') await this.#turn(exchange, route, caller)
      else if (route.kind === 'stored') await this.#stored(exchange, route, caller)
      else if (route.kind === 'plain') await this.#plain(exchange, route, caller)
      else if (route.kind === 'operator')
        await this.#pass(exchange, route, anyEngine, caller, await this.#readPlain(exchange, caller))
      else await this.#stateless(exchange, route, caller)
    } catch (thrown) {
      this.#refuse(exchange, withHeaderParam(toCwmError(thrown)))
    }
  }

  /** Reads a turn's request and runs it. */
  async #turn(exchange: Exchange, route: SessionRoute, given: Caller): Promise<void> {
    const { request, entry } = exchange
    const { overrides, bodies, runner } = this.#parts
    const rules = rulesOf(route.dialect)
    const caller = await overrides.applyTo(given)
    const control = readControlHeaders(request.headers, route)
    checkPage(request, control)
    const rule = this.#headerRule
    const outgoing = this.#outgoing(request, caller, { identity: true, ownLength: true, rule })
    const held = bodies.open(caller.sharer, entry.scope)
    const { bytes, json, room } = await this.#bodyReader.readJson(request, entry.scope, caller, held)
    if (typeof json.model === 'string') entry.model = json.model
    entry.dialect = route.dialect
    entry.streams = isTruthy(json.stream)
    const { headers, method = 'POST' } = request
    const { scope, streams } = entry
    const path = route.path + route.query
    const sink = new ClientTurn(this.#answers, exchange, rules, streams)
    const charge = this.#charge(exchange, caller)
    await runner.run(
      caller,
      { kind: 'session', rules, control, headers, bytes, json, room, held, scope, charge, method, path, outgoing },
      sink,
    )
  }

  /** Reads a request without a session, and runs it. */
  async #stateless(exchange: Exchange, route: ApiRoute, caller: Caller): Promise<void> {
    const { request, entry, client } = exchange
    const { bodies, stateless } = this.#parts
    checkStatelessControl(readControlHeaders(request.headers, route))
    const rule = route.api.kind === 'salted' ? this.#headerRule : this.#sessionlessRule
    const outgoing = this.#outgoing(request, caller, { identity: false, ownLength: true, rule })
    const held = bodies.open(caller.sharer, entry.scope)
    const reader = this.#bodyReader
    const body =
      route.api.multipart === true
        ? await reader.readForm(request, entry.scope, caller, held)
        : await reader.readJson(request, entry.scope, caller, held)
    if (typeof body.json.model === 'string') entry.model = body.json.model
    const { headers, method = 'POST' } = request
    const { scope } = entry
    const path = route.path + route.query
    // What only renders computes nothing.
    const charge = route.api.kind === 'guarded' ? undefined : this.#charge(exchange, caller)
    const sink: StatelessSink = {
      degraded: () => client.set('x-cwm-degraded', 'store'),
      begin: (engine) => {
        if (charge !== undefined) client.setRates(charge.headers)
        return this.#answers.ofStateless(exchange, engine)
      },
    }
    const input = { api: route.api, headers, ...body, held, scope, charge, method, path, outgoing }
    await stateless.run(caller, input, sink)
  }

  /** The rate limit of a request; undefined without one. */
  #charge({ client, entry }: Exchange, caller: Caller): RateCharge | undefined {
    const charge = this.#parts.rates.open(caller, client.errors.rateHeaders)
    if (charge === undefined) return undefined
    entry.charge = charge
    entry.scope.onClose(() => charge.close())
    return charge
  }

  /** Passes on a request for a stored response, if the response belongs to this tenant. */
  async #stored(exchange: Exchange, route: StoredRoute, caller: Caller): Promise<void> {
    const { entry, client } = exchange
    const source = await this.#parts.responses.require(caller.tenant, route.responseId)
    const { id } = source.session.record
    entry.session = id
    const read = await this.#readPlain(exchange, caller)
    client.set('x-cwm-session', id)
    await this.#pass(exchange, route, responseNeed(source), caller, read)
  }

  /** Passes on a plain request. The list of models is cwm's own for tenants with restricted models, and if there are several engines. */
  async #plain(exchange: Exchange, route: PlainRoute, caller: Caller): Promise<void> {
    const { request, client, entry } = exchange
    const { policy } = caller
    const { fleet } = this.#parts
    if (route.path === '/v1/models' && (policy.models !== undefined || isListOfSeveral(request, fleet))) {
      readControlHeaders(request.headers, {})
      const { models } = await fleet.pick(anyEngine)
      entry.status = await sendOwnModels(client, models, caller.apiKey, policy.models, entry.scope.signal)
      return
    }
    await this.#pass(exchange, route, anyEngine, caller, await this.#readPlain(exchange, caller))
  }

  /** Reads the body of a plain request, and for a tenant with restricted models checks the model in it. */
  async #readPlain({ request, entry }: Exchange, caller: Caller): Promise<Buffer | undefined> {
    const bytes = hasBody(request) ? await this.#readAllowed(request, entry.scope, caller) : undefined
    if (entry.scope.isGone) throw clientGone('its request was dispatched')
    return bytes
  }

  async #readAllowed(request: IncomingMessage, scope: RequestScope, caller: Caller): Promise<Buffer> {
    const held = this.#parts.bodies.open(caller.sharer, scope)
    if (caller.policy.models === undefined) return await this.#bodyReader.readDecoded(request, scope, caller, held)
    const { bytes, json } = await this.#bodyReader.readJson(request, scope, caller, held)
    requireModel(caller.policy, json.model)
    return bytes
  }

  /** Forwards a request that is not a turn. Its answer or failure goes to the client. Throws `CLIENT_GONE` if the scope closes first. */
  async #pass(
    exchange: Exchange,
    route: PlainRoute | StoredRoute | ApiRoute,
    need: EngineNeed,
    caller: Caller | undefined,
    body?: Buffer,
  ): Promise<void> {
    const { request, entry } = exchange
    readControlHeaders(request.headers, {})
    const models = asksForModels(request.method, route.path)
    const kind = { identity: models, ownLength: body !== undefined, rule: this.#sessionlessRule }
    const outgoing = this.#outgoing(request, caller, kind)
    const headers = models ? askedWhole(outgoing) : outgoing
    if (body !== undefined) headers.push('content-length', String(body.length))
    const engine = await this.#parts.fleet.pick(need)
    if (entry.scope.isGone) throw clientGone('its request was dispatched')
    const sink = models ? this.#answers.ofModels(exchange, engine) : this.#answers.ofPlain(exchange, engine)
    const { method = 'GET' } = request
    entry.scope.trace?.dispatch(headers)
    const abort = engine.send({ method, path: route.path + route.query, headers, body }, sink)
    entry.scope.onClose(() => {
      if (!entry.scope.isAnswered) abort()
    })
  }

  #outgoing(
    request: IncomingMessage,
    caller: Caller | undefined,
    kind: Pick<OutgoingOptions, 'identity' | 'ownLength' | 'rule'>,
  ): string[] {
    const { preserveHost, upstreamApiKey, affinityHeaders = noFields } = this.#options
    return outgoingHeaders(request.rawHeaders, {
      preserveHost,
      // A preflight has no caller, so no key is sent with it. The operator's key must not reach the engine.
      apiKey: caller === undefined || caller.operator ? (upstreamApiKey ?? null) : upstreamApiKey,
      clientAddress: request.socket.remoteAddress,
      clientProtocol: 'http',
      allowed: caller?.policy.allowedFields ?? noFields,
      ownNames: affinityHeaders,
      ...kind,
    })
  }

  #refuse({ request, client, entry }: Exchange, error: CwmError): void {
    entry.status = error.status
    entry.code = error.code
    if (error.bound !== undefined) this.#parts.metrics.refusedBodies.inc({ bound: error.bound })
    if (error.code === 'INTERNAL')
      this.#parts.log.error({ request: entry.requestId, err: error.cause ?? error }, 'request failed')
    if (!client.gone) client.fail(error)
    // The rest of its body is discarded, and needs neither a slot nor memory.
    if (!request.complete) entry.scope.close()
  }
}

/** Session and window headers have no effect here, because a client may send them with every request. A freeze could not be carried out. */
function checkStatelessControl({ freeze }: ControlHeaders): void {
  if (freeze === undefined) return
  throw new CwmError('NOT_SUPPORTED', 'x-cwm-freeze needs a conversation, and this path has none; leave it out', {
    param: 'x-cwm-freeze',
  })
}

/** Whether a request asks for the models of several engines, of which none has the whole list. */
function isListOfSeveral({ method }: IncomingMessage, fleet: EngineFleet): boolean {
  return method === 'GET' && fleet.members().length > 1
}

/** Undefined on paths without a dialect. */
function rulesOfRoute(route: Route): DialectRules | undefined {
  return route.kind === 'session' ? rulesOf(route.dialect) : rulesAt(route.path)
}
