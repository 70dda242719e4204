// What a failure of undici or of the system means: in cwm's words, whether the request may be sent once more, and whether it tells of
// the upstream as a whole.

import { errors } from 'undici'
import { CwmError } from '../base/errors.ts'

/** Why a request of which nothing was sent is sent once more: `refused` a connection, or an open one was `reset` before it was used. */
export type RetryCause = 'refused' | 'reset'

/**
 * Whether a request may be sent once more, given that not one of its bytes was written to a connection: whoever calls this knows that.
 * A connection that died later proves nothing, however fresh: an engine that crashes in prefill resets it as one that closed it while
 * it was idle does. nginx (without `non_idempotent`) and Go's net/http (`nothingWrittenError`) draw the same line for POST.
 */
export function retryCauseOf(error: Error): RetryCause | undefined {
  const code = systemCodeOf(error)
  if (code === 'ECONNREFUSED') return 'refused'
  return code === 'ECONNRESET' || code === 'EPIPE' ? 'reset' : undefined
}

/** undici's and the system's errors as ours: refused, timed out and broken are different codes. */
export function upstreamError(cause: Error, url: string): CwmError {
  const code = systemCodeOf(cause)
  if (cause instanceof errors.HeadersTimeoutError) {
    return new CwmError('UPSTREAM_TIMEOUT', `the upstream ${url} sent no answer in time (headers_timeout_ms)`, {
      cause,
    })
  }
  if (cause instanceof errors.BodyTimeoutError) {
    return new CwmError('UPSTREAM_TIMEOUT', `the upstream ${url} stopped in mid-answer (stream_timeout_ms)`, { cause })
  }
  if (
    cause instanceof errors.ConnectTimeoutError ||
    /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOST|ENET|ERR_TLS|CERT_)/.test(code)
  ) {
    const reason = code === '' ? 'connect timed out' : code
    const message = `no connection to the upstream ${url} (${reason}); is the engine running?`
    return new CwmError('UPSTREAM_REFUSED', message, { cause })
  }
  return new CwmError('UPSTREAM_BROKEN', `the upstream ${url} broke the connection (${code || cause.name})`, { cause })
}

/**
 * Whether an error that came before the answer is the connection's: not a slow answer, and nothing that a client could bring about by the
 * form of its own request or by leaving, which other tenants would suffer from.
 */
export function isConnectionFailure({ code, cause }: CwmError): boolean {
  if (code === 'UPSTREAM_REFUSED') return true
  if (code !== 'UPSTREAM_BROKEN' || !(cause instanceof Error)) return false
  const name = systemCodeOf(cause)
  return name === 'UND_ERR_SOCKET' || (name !== '' && !/^(UND_ERR_|HPE_|ERR_STREAM_|ERR_INVALID_)/.test(name))
}

/** Of several addresses that were tried, the first one's. */
function systemCodeOf(error: Error): string {
  return codeOf(error) || codeOf(error instanceof AggregateError ? (error.errors[0] as unknown) : undefined)
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
