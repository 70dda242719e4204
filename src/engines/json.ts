// cwm's own calls to the upstream: JSON in both directions, with a size limit and a deadline.

import { CwmError } from '../base/errors.ts'
import { isObject, parseJson } from '../base/json.ts'
import type { Engine, JsonAnswer } from './engine.ts'

export interface JsonCall {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body?: string
  /** Sent as `Authorization: Bearer`; undefined for an upstream without keys. */
  readonly apiKey: string | undefined
  /** Added to cwm's own headers. Flat: name, value, name, value. */
  readonly headers?: readonly string[]
  /** The status is enough: a body that is not JSON becomes an empty object. */
  readonly statusOnly?: boolean
  readonly deadlineMs: number
  readonly signal?: AbortSignal
}

/** Sends requests as an engine does. */
export type Sender = Pick<Engine, 'send'>

/** The ids of a prompt of a million tokens are about 8 MB of JSON. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024

/**
 * Returns status and body for any status. Throws `UPSTREAM_REFUSED`, `UPSTREAM_TIMEOUT`, `UPSTREAM_BROKEN`, `UPSTREAM_OPEN`, or
 * `UPSTREAM_REJECTED` if a successful answer is not a JSON object. Aborting ends the call with `CLIENT_GONE`.
 */
export async function callJson(upstream: Sender, call: JsonCall): Promise<JsonAnswer> {
  const { status, text } = await callText(upstream, call, 'application/json')
  const value = parseJson(text)
  if (isObject(value)) return { status, body: value }
  if (status >= 400 || call.statusOnly === true) return { status, body: {} }
  throw new CwmError('UPSTREAM_REJECTED', `${call.path} of the upstream did not return a JSON object`)
}

/** The same for an answer of text. */
export function callText(
  upstream: Sender,
  call: Omit<JsonCall, 'statusOnly'>,
  accept: string,
): Promise<{ readonly status: number; readonly text: string }> {
  const headers = ['accept', accept, 'accept-encoding', 'identity']
  if (call.body !== undefined) headers.push('content-type', 'application/json')
  if (call.apiKey !== undefined) headers.push('authorization', authorizationOf(call.apiKey))
  if (call.headers !== undefined) headers.push(...call.headers)
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
    const onAbort = () => stop(new CwmError('CLIENT_GONE', 'the call was aborted'))
    const timer = setTimeout(() => {
      stop(new CwmError('UPSTREAM_TIMEOUT', `the upstream did not answer ${call.path} within ${call.deadlineMs} ms`))
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
            stop(
              new CwmError(
                'UPSTREAM_REJECTED',
                `${call.path} of the upstream returned more than ${MAX_ANSWER_BYTES} bytes`,
              ),
            )
          }
        },
        onEnd() {
          finish(() => resolve({ status, text: Buffer.concat(chunks).toString('utf8') }))
        },
        onError(error) {
          finish(() => reject(failure ?? error))
        },
      },
    )
    // The call has already failed, so nothing would remove the listener.
    if (isOver) return
    if (call.signal?.aborted === true) onAbort()
    else call.signal?.addEventListener('abort', onAbort, { once: true })
  })
}

/** The value of `Authorization` for a key. */
export function authorizationOf(apiKey: string): string {
  // For schemes other than Bearer, readApiKey returns the whole value. Only that contains a space; a key never does.
  return apiKey.includes(' ') ? apiKey : `Bearer ${apiKey}`
}

/** The error for a rejected call. Its detail is the first line of the engine's own message. */
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
