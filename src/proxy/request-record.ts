// Collects facts about a request while it is answered. At its end they become one log line, and update the request metrics.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { randomId } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RequestScope } from '../base/request-scope.ts'
import type { Caller } from '../base/tenants.ts'

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
  promptTokens?: number
  cachedTokens?: number
}

export interface RequestRecordParts {
  readonly metrics: Pick<Metrics, 'inFlight' | 'clientGone' | 'requests' | 'requestSeconds' | 'modelLabel'>
  readonly log: Logger
  readonly now: () => number
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/

/** Starts a record, with the client's own request id if it sent one. Must be closed by `closeRequestRecord`. */
export function openRequestRecord(
  { metrics, now }: RequestRecordParts,
  request: IncomingMessage,
  scope: RequestScope,
): RequestRecord {
  const given = request.headers['x-request-id']
  metrics.inFlight.inc()
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
  const { requestId, route, session, ttftMs, promptTokens, cachedTokens, caller } = entry
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
    promptTokens,
    cachedTokens,
  })
}
