// Sends one turn of the chat as an SDK would, and streams the answer.

import { isObject, type JsonObject, parseJson } from '../../base/json.ts'
import { eventsOf } from '../client/events.ts'
import type { Rest } from '../client/rest.ts'

export interface Message {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

export interface TurnRequest {
  readonly model: string
  readonly session: string
  /** The window to thaw into the session with this turn. */
  readonly window?: string | undefined
  readonly messages: readonly Message[]
  readonly signal: AbortSignal
}

export interface TurnAnswer {
  readonly text: string
  /** The engine's finish reason: `stop`, `length`, … */
  readonly finish: string | undefined
  readonly headers: Headers
}

/** The answer ended before it was complete. */
export class BrokenAnswerError extends Error {
  override readonly name = 'BrokenAnswerError'
}

/**
 * Sends the turn and passes each piece of the answer to `onText`. Throws `RefusedError` and `UnreachableError` as `Rest` does,
 * `BrokenAnswerError` for an incomplete answer, and the signal's reason.
 */
export async function sendTurn(rest: Rest, request: TurnRequest, onText: (piece: string) => void): Promise<TurnAnswer> {
  const { model, session, window, messages, signal } = request
  const response = await rest.send('/v1/chat/completions', {
    method: 'POST',
    body: { model, messages, stream: true },
    headers: { 'x-cwm-session': session, ...(window === undefined ? {} : { 'x-cwm-window': window }) },
    signal,
  })
  let text = ''
  let finish: string | undefined
  let isWhole = false
  try {
    for await (const { data } of eventsOf(response)) {
      if (data === '[DONE]') isWhole = true
      const event = parseJson(data)
      if (!isObject(event)) continue
      if (isObject(event.error)) throw new BrokenAnswerError(String(event.error.message ?? 'the answer was aborted'))
      const choice = Array.isArray(event.choices) ? event.choices[0] : undefined
      if (!isObject(choice)) continue
      const piece = textOf(choice)
      if (piece !== '') onText(piece)
      text += piece
      if (typeof choice.finish_reason === 'string') finish = choice.finish_reason
    }
  } catch (thrown) {
    signal.throwIfAborted()
    if (thrown instanceof BrokenAnswerError) throw thrown
    throw new BrokenAnswerError('the connection broke before the answer was complete', { cause: thrown })
  }
  if (!isWhole) throw new BrokenAnswerError('the answer ended before it was complete')
  return { text, finish, headers: response.headers }
}

function textOf({ delta }: JsonObject): string {
  return isObject(delta) && typeof delta.content === 'string' ? delta.content : ''
}
