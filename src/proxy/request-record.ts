// Collects facts about a request while it is answered. At its end they become one log line, and update the request metrics.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { randomId } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { Dialect, Usage } from '../base/records.ts'
import type { RequestScope } from '../base/request-scope.ts'
import type { RequestTracer, TracedOutcome } from '../base/request-trace.ts'
import type { Caller } from '../base/tenants.ts'
import type { UsageSink } from '../base/usage-sink.ts'
import { rulesOf } from '../dialects/index.ts'
import type { RateCharge } from '../rate-limits/rate-charge.ts'

export interface RequestRecord {
  readonly requestId: string
  readonly started: number
  route: string
  status: number
  /** The client has the end of its stream, so it may close the connection. */
  delivered?: boolean
  session?: string
  code?: string
  /** Closes with the response, or when the request is rejected before it is complete. */
  readonly scope: RequestScope
  /** The sender, once its key is known. */
  caller?: Caller
  /** The model's name as sent by the client. */
  model?: string
  /** From dispatch to the first byte of the answer's body. */
  ttftMs?: number
  usage?: Usage
  /** Whether it counts in the ledger, because a model works for it. */
  isMetered?: boolean
  /** Undefined without a rate limit. */
  charge?: RateCharge | undefined
  /** Of a turn. */
  dialect?: Dialect
  /** Whether a turn's client asked for a stream. */
  streams?: boolean
}

export interface RequestRecordParts {
  readonly metrics: Pick<Metrics, 'inFlight' | 'clientGone' | 'requests' | 'requestSeconds' | 'modelLabel'>
  readonly log: Logger
  readonly ledger: UsageSink
  readonly now: () => number
  /** Undefined: no request is traced. */
  readonly tracer?: RequestTracer | undefined
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/

/** Starts a record, with the client's own request id if it sent one. Must be closed by `closeRequestRecord`. */
export function openRequestRecord(
  { metrics, now, tracer }: RequestRecordParts,
  request: IncomingMessage,
  scope: RequestScope,
): RequestRecord {
  const given = request.headers['x-request-id']
  metrics.inFlight.inc()
  if (tracer !== undefined) scope.trace = tracer.begin(request.headers)
  return {
    requestId: typeof given === 'string' && REQUEST_ID.test(given) ? given : randomId(),
    started: now(),
    route: 'other',
    status: 0,
    scope,
  }
}

/** Call when the response closes: closes the scope, logs and counts the request. A client that disconnected before the end counts as 499. */
export function closeRequestRecord(
  parts: RequestRecordParts,
  entry: RequestRecord,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  entry.scope.close()
  const { metrics, log, now } = parts
  const ms = now() - entry.started
  const left =
    !response.writableFinished && entry.delivered !== true && (entry.code === undefined || entry.code === 'CLIENT_GONE')
  const status = left ? 499 : entry.status
  metrics.inFlight.inc(-1)
  if (left) metrics.clientGone.inc()
  const modelLabel = metrics.modelLabel(entry.model)
  metrics.requests.inc(entry.route, String(status), modelLabel)
  metrics.requestSeconds.observe(entry.route, ms / 1000, modelLabel)
  const { requestId, route, session, ttftMs, usage, caller } = entry
  if (entry.isMetered === true) addToLedger(parts, entry, left)
  if (entry.scope.trace !== undefined) entry.scope.trace.close(outcomeOf(entry, request, left, modelLabel))
  log.request({
    request: requestId,
    method: request.method,
    route,
    status,
    ms,
    tenant: caller?.tenant,
    key: caller?.actor,
    // An unknown model's name may be any text, so the log gets the label, which is then `other`.
    model: modelLabel === '' ? undefined : modelLabel,
    session,
    code: entry.code?.toLowerCase(),
    ttftMs,
    promptTokens: usage?.promptTokens,
    cachedTokens: usage?.cachedTokens,
  })
}

/** If the client left, what the engine did for it is unknown. */
function addToLedger({ ledger }: RequestRecordParts, entry: RequestRecord, left: boolean): void {
  const { caller, model, usage, ttftMs, status, scope } = entry
  if (caller === undefined) return
  const outcome = left ? 'aborted' : status >= 400 ? 'error' : 'ok'
  const owner = { tenant: caller.tenant, key: caller.actor, model }
  ledger.finished(owner, { outcome, usage, firstTokenMs: ttftMs, queuedMs: scope.queuedMs })
}

/** By the names of the GenAI conventions. Every turn of messages is a chat to them. */
function operationOf({ dialect, route }: RequestRecord): string | undefined {
  if (dialect !== undefined) return rulesOf(dialect).messagesField === undefined ? 'text_completion' : 'chat'
  return route === '/v1/embeddings' ? 'embeddings' : undefined
}

function outcomeOf(
  entry: RequestRecord,
  { method = '' }: IncomingMessage,
  left: boolean,
  model: string,
): TracedOutcome {
  const { route, session, streams, ttftMs, usage, caller } = entry
  const operation = operationOf(entry)
  const tenant = caller?.tenant
  const ended = left ? { status: 499, code: 'CLIENT_GONE' } : { status: entry.status, code: entry.code }
  return { ...ended, method, route, tenant, session, operation, model, streams, ttftMs, usage }
}
