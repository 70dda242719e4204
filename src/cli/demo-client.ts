// A minimal chat client: streams a turn through the proxy and measures it. Of cwm it knows only the headers.

import { performance } from 'node:perf_hooks'
import { isObject, type JsonObject, parseJson } from '../base/json.ts'
import { decodeEvent, splitEvents } from '../sse/decode.ts'

/** The demo's API key. It is a tenant, so an SDK with this key sees the demo's window. */
export const demoKey = 'demo'

export interface Message {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

export interface MeasuredTurn {
  readonly text: string
  readonly promptTokens: number
  readonly cachedTokens: number
  /** From sending the request to the first text of the answer, thaw included, milliseconds. */
  readonly ttftMs: number
  readonly headers: Headers
}

/** Sends one streaming chat turn. Throws with the server's message if it is rejected. */
export async function chat(
  baseUrl: string,
  model: string,
  messages: readonly Message[],
  headers: Readonly<Record<string, string>>,
): Promise<MeasuredTurn> {
  const sent = performance.now()
  const response = await fetch(`${baseUrl}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${demoKey}`, ...headers },
    body: JSON.stringify({ model, messages, stream: true, stream_options: { include_usage: true }, max_tokens: 48 }),
  })
  if (!response.ok || response.body === null)
    throw new Error(`the proxy answered ${response.status}: ${await response.text()}`)
  let ttftMs: number | undefined
  let text = ''
  let usage: JsonObject = {}
  let rest = Buffer.alloc(0)
  for await (const chunk of response.body) {
    rest = Buffer.concat([rest, chunk])
    for (const bytes of splitEvents(rest)) {
      rest = rest.subarray(bytes.length)
      const event = parseJson(decodeEvent(bytes)?.data ?? '')
      if (!isObject(event)) continue
      const piece = pieceOf(event)
      if (piece !== '') ttftMs ??= performance.now() - sent
      text += piece
      if (isObject(event.usage)) usage = event.usage
    }
  }
  const details = isObject(usage.prompt_tokens_details) ? usage.prompt_tokens_details : {}
  return {
    text,
    promptTokens: Number(usage.prompt_tokens ?? 0),
    cachedTokens: Number(details.cached_tokens ?? 0),
    ttftMs: ttftMs ?? performance.now() - sent,
    headers: response.headers,
  }
}

function pieceOf(event: JsonObject): string {
  const choice = Array.isArray(event.choices) ? (event.choices[0] as unknown) : undefined
  const delta = isObject(choice) ? choice.delta : undefined
  return isObject(delta) && typeof delta.content === 'string' ? delta.content : ''
}
