// Writes the reply to a message of a chat app, as one completion or as a stream.

import type { ServerResponse } from 'node:http'
import type { Now } from '../base/clock.ts'
import { toCwmError } from '../base/errors.ts'
import { closeSignal } from '../base/event-stream.ts'
import { randomId } from '../base/ids.ts'
import type { Logger } from '../base/logger.ts'
import { completionOf, newHead } from './chat-answer.ts'
import { ChatStream } from './chat-stream.ts'
import { type ChatRequest, type ChatWorkParts, runChat } from './chat-work.ts'

export interface ChatAnswererParts extends ChatWorkParts {
  readonly log: Logger
  readonly now: Now
  /** Whether each window's answer is shown as reasoning. */
  readonly showsProgress: boolean
}

/**
 * Resolves once the reply is sent. A client that leaves ends everything at the engine. Throws what `runChat` throws, unless a stream has
 * begun: then the error is its last event.
 */
export async function answerChat(
  parts: ChatAnswererParts,
  response: ServerResponse,
  request: ChatRequest,
): Promise<void> {
  const signal = closeSignal(response)
  if (request.question.stream) await stream(parts, response, request, signal)
  else await complete(parts, response, request, signal)
}

async function complete(
  parts: ChatAnswererParts,
  response: ServerResponse,
  request: ChatRequest,
  signal: AbortSignal,
): Promise<void> {
  const lines: string[] = []
  const head = newHead(request.model, parts.now())
  const reply = await runChat(parts, request, signal, { onProgress: (line) => lines.push(line), onText: () => {} })
  if (signal.aborted) return
  const reasoning = parts.showsProgress && lines.length > 0 ? lines.join('') : undefined
  const body = JSON.stringify(completionOf(head, { ...reply, reasoning }))
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  response.writeHead(200, { ...headers, 'x-cwm-request-id': randomId() })
  response.end(body)
}

async function stream(
  parts: ChatAnswererParts,
  response: ServerResponse,
  request: ChatRequest,
  signal: AbortSignal,
): Promise<void> {
  const { showsProgress, now, log } = parts
  const id = randomId()
  const out = new ChatStream(response, newHead(request.model, now()), { 'x-cwm-request-id': id })
  const onProgress = (line: string) => {
    if (showsProgress) out.reasoning(line)
  }
  try {
    const reply = await runChat(parts, request, signal, { onProgress, onText: (text) => out.text(text) })
    if (!out.hasText) out.text(reply.text)
    out.end(reply.finishReason, request.question.includeUsage ? reply.usage : undefined)
  } catch (thrown) {
    const error = toCwmError(thrown)
    if (error.code === 'INTERNAL') log.error({ request: id, err: error.cause ?? error }, 'request failed')
    if (!signal.aborted) out.fail(error)
  }
}
