// cwm's own calls to the upstream: JSON there, JSON back, bounded and with a deadline.

import { CwmError } from '../base/errors.ts'
import { isObject, parseJson } from '../base/json.ts'
import type { Engine, JsonAnswer } from './engine.ts'

export interface JsonCall {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: string
  /** Goes out as `Authorization: Bearer`; absent for an upstream without keys. */
  readonly apiKey: string | undefined
  readonly deadlineMs: number
  readonly signal?: AbortSignal
}

/** What sends as an engine does. */
export type Sender = Pick<Engine, 'send'>

/** Ids of a 1M-token prompt are about 8 MB of JSON. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/**
 * Answers status and body, whatever the status. Throws `UPSTREAM_REFUSED`, `UPSTREAM_TIMEOUT`, `UPSTREAM_BROKEN`, `UPSTREAM_OPEN`, or
 * `UPSTREAM_REJECTED` when a 2xx answer is no JSON object. Aborting ends the call with `CLIENT_GONE`.
 */
export function callJson(upstream: Sender, call: JsonCall): Promise<JsonAnswer> {
  const headers = ['accept', 'application/json', 'accept-encoding', 'identity']
  if (call.body !== undefined) headers.push('content-type', 'application/json')
  // Another scheme than Bearer is kept whole by readApiKey; a key never has a space.
  if (call.apiKey !== undefined)
    headers.push('authorization', call.apiKey.includes(' ') ? call.apiKey : `Bearer ${call.apiKey}`)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    let status = 0
    let failure: CwmError | undefined
    let isOver = false
    const finish = (settle: () => void) => {
      isOver = true
      clearTimeout(timer)
      call.signal?.removeEventListener('abort', onAbort)
      settle()
    }
    const stop = (error: CwmError) => {
      failure ??= error
      abort()
    }
    const onAbort = () => stop(new CwmError('CLIENT_GONE', 'the call was given up'))
    const timer = setTimeout(() => {
      stop(new CwmError('UPSTREAM_TIMEOUT', `${call.path} of the upstream took longer than ${call.deadlineMs} ms`))
    }, call.deadlineMs)
    const body = call.body === undefined ? undefined : Buffer.from(call.body)
    const abort = upstream.send(
      { method: call.method, path: call.path, headers, body },
      {
        onStart() {},
        onHeaders(code) {
          status = code
        },
        onData(chunk) {
          chunks.push(chunk)
          bytes += chunk.length
          if (bytes > MAX_ANSWER_BYTES) {
            stop(new CwmError('UPSTREAM_REJECTED', `${call.path} answered more than ${MAX_ANSWER_BYTES} bytes`))
          }
        },
        onEnd() {
          finish(() => {
            const value = parseJson(Buffer.concat(chunks).toString('utf8'))
            if (isObject(value)) resolve({ status, body: value })
            else if (status >= 400) resolve({ status, body: {} })
            else reject(new CwmError('UPSTREAM_REJECTED', `${call.path} of the upstream did not answer a JSON object`))
          })
        },
        onError(error) {
          finish(() => reject(failure ?? error))
        },
      },
    )
    // Refused at once: nothing would take the listener away again.
    if (isOver) return
    if (call.signal?.aborted === true) onAbort()
    else call.signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** A refused call as an error. The engine's own words, cut to one line, are its detail. */
export function rejectionOf(path: string, { status, body }: JsonAnswer): CwmError {
  const error = body.error
  const said =
    isObject(error) && typeof error.message === 'string' ? error.message.split('\n', 1)[0]?.slice(0, 200) : undefined
  const message = `${path} of the upstream answered ${status}`
  return new CwmError('UPSTREAM_REJECTED', message, {
    refusedWith: status,
    ...(said === undefined ? {} : { detail: said }),
  })
}
