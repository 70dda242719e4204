// How other interfaces of cwm call REST: rules, checks and error messages are REST's.

import { isObject } from './json.ts'

/** Returns status and JSON, whatever the status. Rejects if there is no answer, and on abort. */
export type CallRest = (
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body: object | undefined,
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly body: unknown }>

/** An error answer of REST, with its message; or no answer, with status 0. */
export class RestError extends Error {
  override readonly name = 'RestError'
  readonly status: number
  /** REST's error code; undefined if the answer had none, or there was no answer. */
  readonly code: string | undefined

  constructor(status: number, message: string, code?: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** Returns the JSON of a success. Throws `RestError`, and the abort reason. */
export async function askRest<T>(
  rest: CallRest,
  method: Parameters<CallRest>[0],
  path: string,
  body: object | undefined,
  signal: AbortSignal,
): Promise<T> {
  const answer = await rest(method, path, body, signal).catch((thrown: unknown) => {
    signal.throwIfAborted()
    throw new RestError(0, thrown instanceof Error ? thrown.message : 'cwm does not answer')
  })
  // The answer of an unhealthy upstream has data too: it says what does not work.
  const isHealth = path === '/cwm/v1/health' && isObject(answer.body) && answer.body.status !== undefined
  if (answer.status < 300 || isHealth) return answer.body as T
  const error = isObject(answer.body) ? answer.body.error : undefined
  const words = isObject(error) && typeof error.message === 'string' ? error.message : `cwm answered ${answer.status}`
  const code = isObject(error) && typeof error.code === 'string' ? error.code : undefined
  throw new RestError(answer.status, words, code)
}
