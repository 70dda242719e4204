// Sends an answer to the client, with backpressure. Failures are reported so that no broken answer looks complete.

import type { ServerResponse } from 'node:http'
import { hasBody } from '../admission/read-bytes.ts'
import { endAfterRequest } from '../base/end-after-request.ts'
import type { CwmError } from '../base/errors.ts'
import type { ErrorShape } from '../dialects/dialect.ts'
import { openAiErrors } from '../dialects/errors.ts'
import type { AnswerControl } from '../engines/engine.ts'
import type { AnswerHeader } from '../identity/control-headers.ts'

/** How long sending the last bytes of a broken stream may take. A client that does not read loses them. */
const LAST_WORDS_MS = 2_000
/** For paths without a dialect. */
const DEFAULT_ERRORS = openAiErrors('messages')

export class ClientResponse {
  readonly #response: ServerResponse
  readonly #requestId: string
  readonly #forPage: readonly string[]
  /** The shape of error bodies. */
  errors: ErrorShape = DEFAULT_ERRORS
  #control: AnswerControl | undefined
  #paused = false
  /** Status 200 of an event stream was sent before the engine's answer was known. */
  #begun = false
  /** Names and values, flat. Sent with every answer, including errors. */
  readonly #own: string[]
  #hasRates = false
  /** Sent with answers of status 200 only. */
  readonly #promises: string[] = []

  /** `forPage`: CORS headers that let a page read cwm's own answers, flat. */
  constructor(response: ServerResponse, requestId: string, forPage: readonly string[] = []) {
    this.#forPage = forPage
    this.#response = response
    this.#requestId = requestId
    this.#own = ['x-cwm-request-id', requestId]
  }

  get headersSent(): boolean {
    return this.#response.headersSent
  }

  /** Whether the connection is closed, by the client or by cwm. */
  get gone(): boolean {
    return this.#response.destroyed
  }

  /** Whether the client has not read what was sent. */
  get isFull(): boolean {
    return this.#response.writableNeedDrain
  }

  /** Sets one of cwm's headers. No effect once the headers are sent. */
  set(name: AnswerHeader, value: string | undefined): void {
    if (value === undefined) return
    const at = this.#own.indexOf(name)
    if (at === -1) this.#own.push(name, value)
    else this.#own[at + 1] = value
  }

  /** Adds headers that tell what is left of the client's rate limits. Those of the engine are dropped: its limits are not the client's. */
  setRates(headers: Readonly<Record<string, string>>): void {
    this.#hasRates = true
    for (const [name, value] of Object.entries(headers)) this.#own.push(name, value)
  }

  /** Adds a header about what follows a successful turn; other statuses do not get it. */
  promise(name: AnswerHeader, value: string): void {
    this.#promises.push(name, value)
  }

  /** From now on, a full socket pauses the engine's answer. */
  control(control: AnswerControl): void {
    this.#control = control
  }

  /** Sends status and headers: the engine's first, then cwm's. */
  head(status: number, statusText: string, headers: readonly string[]): void {
    if (this.#begun) return
    const all = [...(this.#hasRates ? withoutRates(headers) : headers), ...this.#own]
    if (status === 200) all.push(...this.#promises)
    if (statusText === '') this.#response.writeHead(status, all)
    else this.#response.writeHead(status, statusText, all)
  }

  /** Sends status and headers of cwm's own answer, with the CORS headers for the page. */
  ownHead(status: number, headers: readonly string[]): void {
    this.head(status, '', [...headers, ...this.#forPage])
  }

  /** Sends the headers of an event stream before the engine has begun it. */
  beginStream(): void {
    this.head(200, '', ['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache'])
    this.#begun = true
  }

  /** Sends the headers without waiting for a body, because clients of streams wait for them. */
  flush(): void {
    this.#response.flushHeaders()
  }

  write(bytes: Buffer): void {
    if (this.#response.write(bytes) || this.#paused) return
    this.#paused = true
    this.#control?.pause()
    this.#response.once('drain', () => {
      this.#paused = false
      this.#control?.resume()
    })
  }

  /** Calls back once everything written before reached the client's socket; never if the client leaves first. */
  flushed(done: () => void): void {
    this.#response.write('', (error) => {
      if (error === null || error === undefined) done()
    })
  }

  /**
   * Calls back once nothing waits in cwm for the client to read, or its connection is closed; at once if that is so already. A response that
   * was ended emits no `drain`, but `close`.
   */
  whenRead(done: () => void): void {
    const response = this.#response
    if (response.writableLength === 0 || response.destroyed) {
      done()
      return
    }
    const end = () => {
      response.off('drain', end)
      response.off('close', end)
      done()
    }
    response.on('drain', end)
    response.on('close', end)
  }

  end(bytes?: Buffer): void {
    if (bytes === undefined) this.#response.end()
    else this.#response.end(bytes)
  }

  /** Sends an error in the client's dialect. After the headers it breaks the connection instead, so that nothing looks complete. */
  fail(error: CwmError): void {
    if (this.#begun) {
      this.breakStream(error, false)
      return
    }
    if (this.#response.headersSent) {
      this.#response.destroy()
      return
    }
    const body = Buffer.from(this.errors.body(error, this.#requestId))
    const headers = ['content-type', 'application/json', 'content-length', String(body.length)]
    headers.push(...Object.entries(error.answerHeaders).flat())
    const { req } = this.#response
    if (req.complete || !hasBody(req)) {
      this.ownHead(error.status, headers)
      this.#response.end(body)
      return
    }
    headers.push('connection', 'close')
    this.ownHead(error.status, headers)
    this.#response.write(body)
    endAfterRequest(this.#response)
  }

  /** Ends a broken event stream with an error event at an event boundary, then breaks the connection. `inEvent`: an event is unfinished. */
  breakStream(error: CwmError, inEvent: boolean): void {
    const response = this.#response
    const limit = () => {
      const timer = setTimeout(() => response.destroy(), LAST_WORDS_MS)
      response.once('close', () => clearTimeout(timer))
    }
    // A pipelined response has no socket until the answers before it are sent, so no client is reading it yet.
    if (response.socket === null) response.once('socket', limit)
    else limit()
    response.write((inEvent ? '\n\n' : '') + this.errors.event(error), () => response.destroy())
  }

  /** Breaks the connection in the middle of an answer. */
  destroy(): void {
    this.#response.destroy()
  }
}

/** Without the headers of another server's rate limits. */
function withoutRates(headers: readonly string[]): readonly string[] {
  const out: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name = '', value = ''] = headers.slice(i, i + 2)
    if (!/^(x|anthropic)-ratelimit-/i.test(name)) out.push(name, value)
  }
  return out
}
