// Classifies failures of undici and of the system: cwm's error for each, whether the request may be retried, and whether the connection to
// the upstream failed.

import { errors } from 'undici'
import { CwmError } from '../base/errors.ts'

/** Why an unsent request is retried. `refused`: its connection was refused. `reset`: its open connection was reset before it was used. */
export type RetryCause = 'refused' | 'reset'

/**
 * The cause if a request may be retried; undefined if not. The caller guarantees that none of its bytes were written to a connection. A
 * connection that dies after a write proves nothing: an engine that crashes during prefill causes the same reset as one that closed an idle
 * connection. nginx (without `non_idempotent`) and Go's net/http (`nothingWrittenError`) use the same rule for POST.
 */
export function retryCauseOf(error: Error): RetryCause | undefined {
  const code = systemCodeOf(error)
  if (code === 'ECONNREFUSED') return 'refused'
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'reset' : undefined
}

/** Converts an error of undici or the system to a CwmError. Refused, timed out and broken connections have different codes. */
export function upstreamError(cause: Error, url: string): CwmError {
  const code = systemCodeOf(cause)
  if (cause instanceof errors.HeadersTimeoutError) {
    return new CwmError(
      'UPSTREAM_TIMEOUT',
      `the upstream ${url} did not start its answer in time (setting headers_timeout_ms)`,
      {
        cause,
      },
    )
  }
  if (cause instanceof errors.BodyTimeoutError) {
    return new CwmError(
      'UPSTREAM_TIMEOUT',
      `the upstream ${url} stopped in the middle of its answer (setting stream_timeout_ms)`,
      { cause },
    )
  }
  if (
    cause instanceof errors.ConnectTimeoutError ||
    /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOST|ENET|ERR_TLS|CERT_)/.test(code)
  ) {
    const reason = code === '' ? 'connect timed out' : code
    const message = `cannot connect to the upstream ${url} (${reason}); is the engine running?`
    return new CwmError('UPSTREAM_REFUSED', message, { cause })
  }
  return new CwmError('UPSTREAM_BROKEN', `the upstream ${url} broke the connection (${code || cause.name})`, { cause })
}

/**
 * Whether an error before the answer is a failure of the connection. Slow answers do not count, and neither does anything that a client can
 * cause by an invalid request or by disconnecting: other tenants would suffer from it.
 */
export function isConnectionFailure({ code, cause }: CwmError): boolean {
  if (code === 'UPSTREAM_REFUSED') return true
  if (code !== 'UPSTREAM_BROKEN' || !(cause instanceof Error)) return false
  const name = systemCodeOf(cause)
  return name === 'UND_ERR_SOCKET' || (name !== '' && !/^(UND_ERR_|HPE_|ERR_STREAM_|ERR_INVALID_)/.test(name))
}

/**
 * Whether an error before `onStart` shows that the engine has nothing of the request: no connection could be opened, an open one was reset
 * before it was used, or the breaker is open.
 */
export function isUnwritten(error: CwmError): boolean {
  return error.code === 'UPSTREAM_OPEN' || isConnectionFailure(error)
}

/** If several addresses were tried, the code of the first one. */
function systemCodeOf(error: Error): string {
  return codeOf(error) || codeOf(error instanceof AggregateError ? (error.errors[0] as unknown) : undefined)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
