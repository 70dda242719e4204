// What is noted of a request while it is answered, and what is made of it in the end: one log line and the counters of all requests.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { randomId } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import type { Metrics } from '../base/metrics.ts'
import type { RequestScope } from '../base/request-scope.ts'
import type { Caller } from '../base/tenants.ts'

export interface Note {
  readonly requestId: string
  readonly started: number
  route: string
  status: number
  /** The client has the end of its stream: it may close the connection as it likes. */
  delivered?: boolean
  session?: string
  code?: string
  /** Closes with the response, or when the request is refused before it is whole. */
  readonly scope: RequestScope
  /** Whose request it is, once its key is known. */
  caller?: Caller
  /** The model as the client named it. */
  model?: string
  /** From dispatch to the first byte of the answer's body. */
  ttftMs?: number
  promptTokens?: number
  cachedTokens?: number
}

export interface NoteParts {
  readonly metrics: Pick<Metrics, 'inFlight' | 'clientGone' | 'requests' | 'requestSeconds' | 'modelLabel'>
  readonly log: Logger
  readonly now: () => number
}

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/

/** Begins a note, under the client's own request id if it has one. It needs its `closeNote`. */
export function openNote({ metrics, now }: NoteParts, request: IncomingMessage, scope: RequestScope): Note {
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

/** The response is closed: closes the scope, logs and counts the request. A client that left before its answer was whole is 499. */
export function closeNote(parts: NoteParts, note: Note, request: IncomingMessage, response: ServerResponse): void {
  note.scope.close()
  const { metrics, log, now } = parts
  const ms = now() - note.started
  const left =
    !response.writableFinished && note.delivered !== true && (note.code === undefined || note.code === 'CLIENT_GONE')
  const status = left ? 499 : note.status
  metrics.inFlight.inc(-1)
  if (left) metrics.clientGone.inc()
  const modelLabel = metrics.modelLabel(note.model)
  metrics.requests.inc(note.route, String(status), modelLabel)
  metrics.requestSeconds.observe(note.route, ms / 1000, modelLabel)
  const { requestId, route, session, ttftMs, promptTokens, cachedTokens, caller } = note
  log.request({
    request: requestId,
    method: request.method,
    route,
    status,
    ms,
    tenant: caller?.tenant,
    key: caller?.actor,
    // A name that no model has may be any text of the client's: the log gets the label, which is `other` then.
    model: modelLabel === '' ? undefined : modelLabel,
    session,
    code: note.code?.toLowerCase(),
    ttftMs,
    promptTokens,
    cachedTokens,
  })
}
