// Sends a request whose answer is a stream, and hands on its events as they arrive: for what cwm asks itself, beside the turns of clients.

import { CwmError } from '../base/errors.ts'
import { rawHeaderIn } from '../base/flat-headers.ts'
import { isObject, type JsonObject, parseJson } from '../base/json.ts'
import { decodeEvent, splitEvents } from '../sse/decode.ts'
import { EventFramer } from '../sse/frame.ts'
import type { AnswerControl, AnswerSink } from './engine.ts'
import { authorizationOf, rejectionOf, type Sender } from './json.ts'

/** One token's event takes a few hundred bytes. They are not kept. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024
const MAX_EVENT_BYTES = 1024 * 1024

export interface StreamCall {
  readonly path: string
  readonly body: Buffer
  readonly apiKey: string | undefined
  readonly signal: AbortSignal
  /** Called with each event as it arrives. */
  readonly onEvent: (event: JsonObject) => void
}

/**
 * Resolves once the stream has ended. Throws `UPSTREAM_REJECTED` if the engine answers with an error or no stream, `CLIENT_GONE` if the signal
 * aborts, and what the engine's connection throws.
 */
export function streamAnswer(engine: Sender, { path, body, apiKey, signal, onEvent }: StreamCall): Promise<void> {
  const headers = ['content-type', 'application/json', 'accept', 'text/event-stream', 'accept-encoding', 'identity']
  if (apiKey !== undefined) headers.push('authorization', authorizationOf(apiKey))
  headers.push('content-length', String(body.length))
  return new Promise((resolve, reject) => {
    const sink = new StreamReader(path, onEvent, (error) => {
      signal.removeEventListener('abort', leave)
      if (error === undefined) resolve()
      else reject(error)
    })
    const abort = engine.send({ method: 'POST', path, headers, body }, sink)
    const leave = () => abort(new CwmError('CLIENT_GONE', 'the client left before the answer was complete'))
    if (sink.isOver) return
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
}

class StreamReader implements AnswerSink {
  readonly #path: string
  readonly #onEvent: (event: JsonObject) => void
  readonly #settle: (error?: CwmError) => void
  readonly #framer = new EventFramer(MAX_EVENT_BYTES)
  #control: AnswerControl | undefined
  #status = 0
  #isStream = false
  #bytes = 0
  /** An answer that is no stream. */
  readonly #other: Buffer[] = []
  #failure: CwmError | undefined
  isOver = false

  constructor(path: string, onEvent: (event: JsonObject) => void, settle: (error?: CwmError) => void) {
    this.#path = path
    this.#onEvent = onEvent
    this.#settle = settle
  }

  onStart(control: AnswerControl): void {
    this.#control = control
  }

  onHeaders(status: number, rawHeaders: readonly Buffer[]): void {
    const type = rawHeaderIn(rawHeaders, 'content-type')?.split(';', 1)[0]?.trim().toLowerCase()
    this.#status = status
    this.#isStream = status === 200 && type === 'text/event-stream'
  }

  onData(bytes: Buffer): void {
    if (this.#failure !== undefined) return
    this.#bytes += bytes.length
    if (this.#bytes > MAX_ANSWER_BYTES) this.#fail(`the answer has more than ${MAX_ANSWER_BYTES} bytes`)
    else if (this.#isStream) this.#read(this.#framer.push(bytes))
    else this.#other.push(bytes)
  }

  onEnd(): void {
    if (this.#isStream && this.#failure === undefined) this.#read(this.#framer.takeRest())
    this.#end(this.#failure ?? (this.#isStream ? undefined : this.#rejection()))
  }

  onError(error: CwmError): void {
    this.#end(this.#failure ?? error)
  }

  #read(whole: readonly Buffer[]): void {
    for (const bytes of whole) {
      for (const event of splitEvents(bytes)) {
        const data = decodeEvent(event)?.data
        const value = data === undefined ? undefined : parseJson(data)
        if (isObject(value)) this.#onEvent(value)
      }
    }
  }

  #rejection(): CwmError {
    const value = parseJson(Buffer.concat(this.#other).toString('utf8'))
    return rejectionOf(this.#path, { status: this.#status, body: isObject(value) ? value : {} })
  }

  #fail(why: string): void {
    this.#failure = new CwmError('UPSTREAM_REJECTED', `${this.#path} of the upstream: ${why}`)
    this.#control?.abort()
  }

  #end(error?: CwmError): void {
    this.isOver = true
    this.#settle(error)
  }
}
