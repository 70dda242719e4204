// The way back to the client: bytes with backpressure, failures told truthfully, departure noticed in every phase.

import type { ServerResponse } from 'node:http'
import { endAfterRequest } from '../base/end-after-request.ts'
import type { CwmError } from '../base/errors.ts'
import type { ErrorShape } from '../dialects/dialect.ts'
import { openAiErrors } from '../dialects/errors.ts'
import type { AnswerControl } from '../engines/engine.ts'
import type { AnswerHeader } from '../identity/control-headers.ts'
import { hasBody } from './body.ts'

/** How long the last bytes of a broken stream may take to leave; a client that does not read loses them. */
const LAST_WORDS_MS = 2_000
/** On paths of no dialect. */
const DEFAULT_ERRORS = openAiErrors('messages')

export class ClientResponse {
  readonly #response: ServerResponse
  readonly #requestId: string
  readonly #forPage: readonly string[]
  /** How errors are worded. */
  errors: ErrorShape = DEFAULT_ERRORS
  #control: AnswerControl | undefined
  #paused = false
  /** Status 200 of an event stream went out before the upstream's answer was known. */
  #begun = false
  /** Names and values in turn, set with the headers of an answer: these go on every answer, errors included. */
  readonly #own: string[]
  /** These go on an answer of status 200 only. */
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

  /** The client has closed its connection, or we have. */
  get gone(): boolean {
    return this.#response.destroyed
  }

  /** The client has not read what it was sent. */
  get isFull(): boolean {
    return this.#response.writableNeedDrain
  }

  /** Adds one of our own headers to the answer, if it has not begun. */
  set(name: AnswerHeader, value: string | undefined): void {
    if (value === undefined) return
    const at = this.#own.indexOf(name)
    if (at === -1) this.#own.push(name, value)
    else this.#own[at + 1] = value
  }

  /** Adds a header that tells what will be done with the turn: an answer of another status is no turn. */
  promise(name: AnswerHeader, value: string): void {
    this.#promises.push(name, value)
  }

  /** From now on a full socket stops the upstream. */
  control(control: AnswerControl): void {
    this.#control = control
  }

  /** Sends status and headers: the upstream's first, then our own. */
  head(status: number, statusText: string, headers: readonly string[]): void {
    if (this.#begun) return
    const all = [...headers, ...this.#own]
    if (status === 200) all.push(...this.#promises)
    if (statusText === '') this.#response.writeHead(status, all)
    else this.#response.writeHead(status, statusText, all)
  }

  /** Sends status and headers of cwm's own answer, with the CORS headers for the page. */
  ownHead(status: number, headers: readonly string[]): void {
    this.head(status, '', [...headers, ...this.#forPage])
  }

  /** Sends the headers of an event stream that the upstream has not begun yet. */
  beginStream(): void {
    this.head(200, '', ['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache'])
    this.#begun = true
  }

  /** Sends the headers before there is a body to send: a stream's client waits for them. */
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

  /** Calls back once all that was written before has gone to the client's socket; never, if the client leaves first. */
  flushed(done: () => void): void {
    this.#response.write('', (error) => {
      if (error === null || error === undefined) done()
    })
  }

  end(bytes?: Buffer): void {
    if (bytes === undefined) this.#response.end()
    else this.#response.end(bytes)
  }

  /** Answers an error in the client's dialect; after headers it breaks the connection instead, so that nothing looks complete. */
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

  /** Ends a broken event stream: an error event, at an event boundary, then a broken connection. `inEvent`: one is unfinished. */
  breakStream(error: CwmError, inEvent: boolean): void {
    const response = this.#response
    const limit = () => {
      const timer = setTimeout(() => response.destroy(), LAST_WORDS_MS)
      response.once('close', () => clearTimeout(timer))
    }
    // Behind another answer on its connection it has no socket yet, and no client who could be reading it.
    if (response.socket === null) response.once('socket', limit)
    else limit()
    response.write((inEvent ? '\n\n' : '') + this.errors.event(error), () => response.destroy())
  }

  /** Breaks the connection in mid-answer. */
  destroy(): void {
    this.#response.destroy()
  }
}
