// Runs requests without a session: embeddings, scores, batches, and what only renders or counts. Each is checked like a turn, gets a salt of
// its own if its path takes one, and is dispatched once. No session or history is stored.

import { CwmError, clientGone, isStoreUnavailable } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import type { JsonBodies } from '../base/json-bodies.ts'
import type { KvSpace } from '../base/records.ts'
import { type Caller, requireModel } from '../base/tenants.ts'
import { messageFields, rulesAt } from '../dialects/index.ts'
import { RawObject, replaceMembers, setMembers } from '../dialects/raw-json.ts'
import type { ApiPath } from '../engines/api-paths.ts'
import type { AnswerSink, Engine } from '../engines/engine.ts'
import type { EngineFleet } from '../engines/fleet.ts'
import { userOf } from '../identity/user.ts'
import type { SaltQuotas } from '../kv/quotas.ts'
import { type RequestLineage, type RequestLineages, unnamedLineage } from '../sessions/request-lineages.ts'
import { addIds } from './body-edits.ts'
import { namesEngineSession, setEngineSession } from './engine-session.ts'
import { statelessNeed } from './expected-tokens.ts'
import { checkApiFields } from './guard.ts'
import type { RequestInput } from './turn-input.ts'
import { clientSaltOf } from './window-before.ts'

export interface StatelessParts {
  readonly fleet: EngineFleet
  readonly lineages: Pick<RequestLineages, 'take'>
  readonly json: Pick<JsonBodies, 'checkMessages'>
  readonly quotas: Pick<SaltQuotas, 'ensure'>
  readonly saltOf: (space: KvSpace & { tenant: string; lineage: string }) => string
  readonly engineSessionOf: (tenant: string, lineage: string) => string
  readonly kvEpoch: number
}

/** `json`: all fields of a JSON body, or the text fields of a form. */
export interface StatelessInput extends RequestInput {
  readonly api: ApiPath
  /** What `json` was parsed from. Absent: `bytes`. */
  readonly jsonBytes?: Buffer
}

export interface StatelessSink {
  /** The store did not answer: the request is isolated, but no order names its KV. */
  degraded(): void
  /** Called right before the dispatch. Returns the sink for the engine's bytes. */
  begin(engine: Engine): AnswerSink
}

interface Prepared {
  readonly body: Buffer
  readonly lineage: RequestLineage | undefined
  readonly engineSession: string | undefined
}

export class StatelessRunner {
  readonly #parts: StatelessParts

  constructor(parts: StatelessParts) {
    this.#parts = parts
  }

  /**
   * Resolves once the request is dispatched; its answer or failure goes to the sink. Throws why it is rejected, what its rate limit throws,
   * `SESSION_ENDED` if its tenant is erased meanwhile, and `CLIENT_GONE` if the scope closes first. Nothing is dispatched then.
   */
  async run(caller: Caller, input: StatelessInput, sink: StatelessSink): Promise<void> {
    const raw = this.#check(caller, input)
    const { api, json, scope, charge } = input
    if (charge !== undefined) await charge.reserve(statelessNeed(json))
    let prepared = api.kind === 'salted' ? await this.#salted(caller, input, raw) : unsalted(input)
    const { lineage } = prepared
    if (lineage?.degraded === true) sink.degraded()
    const model = modelOf(json)
    const { tenant } = caller
    const need = lineage === undefined ? { tenant, model } : { tenant, lineage: lineage.lineage, model }
    const engine = await this.#parts.fleet.pick(need)
    // Awaited only if it is a promise: nothing else may run between the last check and the dispatch.
    const allowed = lineage?.mayDispatch() ?? true
    const checked =
      typeof allowed === 'boolean'
        ? allowed
        : await allowed.catch((thrown: unknown) => this.#continueCold(thrown, caller, input, prepared, sink))
    if (checked === false) throw erased()
    if (checked !== true) prepared = checked
    if (scope.isGone) throw clientGone('its request was dispatched')
    this.#dispatch(engine, input, prepared, sink)
  }

  #check({ policy }: Caller, { api, json, bytes, jsonBytes = bytes, path }: StatelessInput): RawObject {
    requireModel(policy, json.model)
    this.#parts.json.checkMessages(json, [...messageFields, ...(api.parts ?? [])])
    const raw = new RawObject(jsonBytes)
    const [plainPath = ''] = path.split('?', 1)
    checkApiFields(raw, json, api, rulesAt(plainPath), policy.allowedFields)
    return raw
  }

  async #salted({ tenant, policy }: Caller, input: StatelessInput, raw: RawObject): Promise<Prepared> {
    const { headers, json, room, held } = input
    const { kvEpoch, lineages, quotas, saltOf, engineSessionOf } = this.#parts
    const space = spaceOf(json, kvEpoch)
    const taken = await lineages.take({ tenant, isolation: policy.isolation, user: userOf(headers, json) }, space)
    const { lineage, shared } = taken
    const salt = saltOf({ tenant, lineage, ...space })
    // KV of an unshared lineage is never loaded again, so it needs no quota. An adapter that evicts by salt then drops it at once.
    if (shared !== undefined) await quotas.ensure(salt, policy.kvQuotaGb)
    const engineSession = namesEngineSession(headers, json) ? engineSessionOf(tenant, lineage) : undefined
    const changes = new Map<string, Buffer | string>()
    addIds(changes, json, salt, engineSession)
    const isCopied = room === 0 || Object.hasOwn(json, 'cache_salt') || Object.hasOwn(json, 'session_id')
    if (isCopied) held.set(2 * raw.bytes.length)
    return { body: setMembers(raw, changes, (key) => Object.hasOwn(json, key), room), lineage: taken, engineSession }
  }

  /** The request under a lineage that nobody knows, because the store did not answer the last check. */
  #continueCold(
    thrown: unknown,
    { tenant }: Caller,
    { headers, json, held }: StatelessInput,
    { body }: Prepared,
    sink: StatelessSink,
  ): Prepared {
    if (!isStoreUnavailable(thrown)) throw thrown
    const { kvEpoch, saltOf, engineSessionOf } = this.#parts
    const lineage = unnamedLineage()
    const salt = saltOf({ tenant, lineage: lineage.lineage, ...spaceOf(json, kvEpoch) })
    const engineSession = namesEngineSession(headers, json) ? engineSessionOf(tenant, lineage.lineage) : undefined
    const ids = new Map<string, Buffer | string>()
    addIds(ids, json, salt, engineSession)
    held.set(2 * body.length)
    sink.degraded()
    return { body: replaceMembers(body, ids), lineage, engineSession }
  }

  #dispatch(
    engine: Engine,
    { scope, charge, method, path, outgoing }: StatelessInput,
    { body, lineage, engineSession }: Prepared,
    sink: StatelessSink,
  ): void {
    const answer = sink.begin(engine)
    const headers = setEngineSession(outgoing, engineSession)
    headers.push('content-length', String(body.length))
    scope.trace?.dispatch(headers)
    charge?.dispatched()
    const abort = engine.send({ method, path, headers, body }, answer)
    const stopListening = lineage?.onRetired(() => abort(erased()))
    scope.onClose(() => {
      stopListening?.()
      if (!scope.isAnswered) abort()
    })
  }
}

function unsalted({ bytes }: StatelessInput): Prepared {
  return { body: bytes, lineage: undefined, engineSession: undefined }
}

function spaceOf(json: JsonObject, kvEpoch: number): KvSpace {
  const clientSalt = clientSaltOf(json)
  return { model: modelOf(json), kvEpoch, ...(clientSalt === undefined ? {} : { clientSalt }) }
}

function modelOf({ model }: JsonObject): string {
  return typeof model === 'string' ? model : ''
}

function erased(): CwmError {
  return new CwmError('SESSION_ENDED', "the tenant's data was erased while this request was in flight; send it again")
}
