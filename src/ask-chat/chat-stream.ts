// Writes an answer as OpenAI's event stream. It begins at once, because windows may take minutes, and comments keep the connection alive.

import type { ServerResponse } from 'node:http'
import type { CwmError } from '../base/errors.ts'
import { eventStreamHeaders, HEARTBEAT_MS } from '../base/event-stream.ts'
import type { JsonObject } from '../base/json.ts'
import { openAiErrorBody } from '../dialects/errors.ts'
import { type AnswerHead, type ChatUsage, chunkOf, usageChunkOf } from './chat-answer.ts'

/** How long sending the last bytes of a broken stream may take. A client that does not read loses them. */
const LAST_WORDS_MS = 2_000

type Response = Pick<ServerResponse, 'writeHead' | 'write' | 'end' | 'destroy' | 'once'>

export class ChatStream {
  readonly #response: Response
  readonly #head: AnswerHead
  readonly #heartbeat: NodeJS.Timeout
  #hasText = false

  /** Sends the headers and the first chunk. `more`: further headers. */
  constructor(response: Response, head: AnswerHead, more: Readonly<Record<string, string>>) {
    this.#response = response
    this.#head = head
    response.writeHead(200, { ...eventStreamHeaders, ...more })
    this.#send(chunkOf(head, { role: 'assistant', content: '' }))
    this.#heartbeat = setInterval(() => response.write(': keep-alive\n\n'), HEARTBEAT_MS)
    response.once('close', () => clearInterval(this.#heartbeat))
  }

  /** Whether a piece of the answer has been sent. */
  get hasText(): boolean {
    return this.#hasText
  }

  reasoning(text: string): void {
    this.#send(chunkOf(this.#head, { reasoning: text }))
  }

  text(text: string): void {
    this.#hasText = true
    this.#send(chunkOf(this.#head, { content: text }))
  }

  /** `usage`: undefined if the client did not ask for it, or it is unknown. */
  end(finishReason: string, usage: ChatUsage | undefined): void {
    this.#send(chunkOf(this.#head, {}, finishReason))
    if (usage !== undefined) this.#send(usageChunkOf(this.#head, usage))
    clearInterval(this.#heartbeat)
    this.#response.end('data: [DONE]\n\n')
  }

  /** Sends the error as an event, then breaks the connection, so that no part of an answer looks complete. */
  fail(error: CwmError): void {
    clearInterval(this.#heartbeat)
    const limit = setTimeout(() => this.#response.destroy(), LAST_WORDS_MS)
    this.#response.once('close', () => clearTimeout(limit))
    this.#response.write(`data: ${openAiErrorBody(error)}\n\n`, () => this.#response.destroy())
  }

  #send(chunk: JsonObject): void {
    this.#response.write(`data: ${JSON.stringify(chunk)}\n\n`)
  }
}
