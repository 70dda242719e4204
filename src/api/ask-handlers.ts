// The REST handler for questions to windows: one answer as JSON, or as server-sent events while it is written.

import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { AskReceipt, WindowAnswer, WindowAsker, WindowQuestion } from '../ask/ask-window.ts'
import { toCwmError } from '../base/errors.ts'
import { openAiErrorBody } from '../dialects/errors.ts'
import { askBody, type WindowAnswerJson, windowAnswerSchema } from '../wire/asks.ts'
import type { Bindings, CallerOf } from './bindings.ts'
import * as routes from './routes.ts'
import { tiersToWire, usageToWire } from './to-wire.ts'

export interface AskHandlerParts {
  readonly asker: Pick<WindowAsker, 'ask'>
}

/** Proxies and browsers end connections that are silent for a minute or less. */
const HEARTBEAT_MS = 15_000

const headers = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
}

export const askWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/{name}/ask',
  summary: 'Ask a frozen window one question; nothing of it is kept',
  request: { params: routes.windowName, body: routes.body(askBody) },
  responses: {
    200: {
      content: {
        'application/json': { schema: windowAnswerSchema },
        'text/event-stream': { schema: z.string() },
      },
      description: 'The answer, and what it cost',
    },
    ...routes.failures,
  },
})

export function mountAsks(app: OpenAPIHono<Bindings>, { asker }: AskHandlerParts, callerOf: CallerOf): void {
  app.openapi(askWindow, async (c) => {
    const { tenant, policy, operation } = callerOf(c)
    const { question, instructions, max_tokens: maxTokens, temperature, stream } = c.req.valid('json')
    const asked = { tenant, policy, window: c.req.valid('param').name, question, instructions, maxTokens, temperature }
    const gone = goneSignal(c.env)
    if (!stream) return c.json(answerToWire(await asker.ask(asked, { ...operation, signal: gone })), 200)
    return c.body(streamOf(asker, asked, { ...operation, signal: gone }), 200, headers)
  })
}

function goneSignal({ outgoing }: Bindings['Bindings']): AbortSignal {
  const gone = new AbortController()
  outgoing.once('close', () => gone.abort())
  if (outgoing.destroyed) gone.abort()
  return gone.signal
}

/** Failures are events, because the status is sent before they are known. A client that leaves ends the question. */
function streamOf(
  asker: Pick<WindowAsker, 'ask'>,
  asked: WindowQuestion,
  options: Omit<Parameters<WindowAsker['ask']>[1], 'onText'>,
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  return new ReadableStream({
    async start(controller) {
      const send = (text: string) => {
        if (!options.signal.aborted) controller.enqueue(encoder.encode(text))
      }
      send(': asked\n\n')
      const heartbeat = setInterval(() => send(': waiting\n\n'), HEARTBEAT_MS)
      try {
        const answer = await asker.ask(asked, { ...options, onText: (text) => send(eventOf('text', { text })) })
        send(eventOf('answer', answerToWire(answer)))
      } catch (thrown) {
        send(`event: error\ndata: ${openAiErrorBody(toCwmError(thrown))}\n\n`)
      } finally {
        clearInterval(heartbeat)
        if (!options.signal.aborted) controller.close()
      }
    },
  })
}

function eventOf(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

function answerToWire({ text, usage, receipt }: WindowAnswer): WindowAnswerJson {
  return {
    window: receipt.window,
    answer: text,
    usage: usage === undefined ? null : usageToWire(usage),
    receipt: receiptToWire(receipt),
  }
}

function receiptToWire(receipt: AskReceipt): WindowAnswerJson['receipt'] {
  return {
    restored_tokens: receipt.restoredTokens,
    computed_tokens: receipt.computedTokens,
    reasoning_tokens: receipt.reasoningTokens,
    tiers_before: tiersToWire(receipt.tiersBefore),
    finish_reason: receipt.finishReason,
    drift: receipt.drift,
    first_token_ms: receipt.firstTokenMs,
    branch_kv: 'until_evicted',
    ms: { ...receipt.ms },
    warnings: [...receipt.warnings],
    notes: [...receipt.notes],
  }
}
