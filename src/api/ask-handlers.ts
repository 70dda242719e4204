// The REST handlers for questions to windows: answers as JSON, or as server-sent events while they are written.

import { createRoute, type OpenAPIHono, z } from '@hono/zod-openapi'
import type { ManyAsker } from '../ask/ask-many.ts'
import type { WindowAsker } from '../ask/ask-window.ts'
import type { ManyQuestion } from '../ask/many-question.ts'
import { closeSignal, eventStreamHeaders } from '../base/event-stream.ts'
import { askBody, windowAnswerSchema } from '../wire/asks.ts'
import { manyAnswerSchema, manyAskBody } from '../wire/many-asks.ts'
import { answerToWire, eventToWire, manyAnswerToWire } from './asks-to-wire.ts'
import type { ApiCaller, Bindings, CallerOf } from './bindings.ts'
import type { ContentAccess } from './content-access.ts'
import { eventsOf } from './event-answer.ts'
import type { AnswerHolds } from './hold-answers.ts'
import * as routes from './routes.ts'

export interface AskHandlerParts {
  /** An answer may quote all messages. */
  readonly access: ContentAccess
  readonly asker: Pick<WindowAsker, 'ask'>
  readonly manyAsker: Pick<ManyAsker, 'ask'>
  readonly holds: Pick<AnswerHolds, 'add'>
}

const answers = <T extends z.ZodType>(schema: T, description: string) => ({
  200: { content: { 'application/json': { schema }, 'text/event-stream': { schema: z.string() } }, description },
  ...routes.failures,
})

export const askWindow = createRoute({
  method: 'post',
  path: '/cwm/v1/windows/{name}/ask',
  summary: 'Ask a frozen window one question; nothing of it is kept',
  request: { params: routes.windowName, body: routes.body(askBody) },
  responses: answers(windowAnswerSchema, 'The answer, and what it cost'),
})

export const askMany = createRoute({
  method: 'post',
  path: '/cwm/v1/ask',
  summary: 'Ask many frozen windows one question, and reduce their answers to one',
  description:
    'Events: `started`; `window` or `window_error` for each window as it is done; `text` and `reduction` (or `reduction_error`) if `reduce` asks for one; `receipt` at the end, or `error` if the whole question failed.',
  request: { body: routes.body(manyAskBody) },
  responses: answers(manyAnswerSchema, 'The answers of the windows, their reduction, and a receipt'),
})

export function mountAsks(
  app: OpenAPIHono<Bindings>,
  { access, asker, manyAsker, holds }: AskHandlerParts,
  callerOf: CallerOf,
): void {
  app.openapi(askWindow, async (c) => {
    const caller = callerOf(c)
    const { tenant, sharer, policy, operation } = caller
    const window = c.req.valid('param').name
    access.require(caller, { action: 'ask', target: 'window', name: window })
    const { question, instructions, max_tokens: maxTokens, temperature, stream } = c.req.valid('json')
    const asked = { tenant, sharer, policy, window, question, instructions, maxTokens, temperature }
    const options = { ...operation, signal: closeSignal(c.env.outgoing) }
    if (!stream) return c.json(answerToWire(await asker.ask(asked, options)), 200)
    const events = eventsOf(async (send) => {
      const answer = await asker.ask(asked, { ...options, onText: (text) => send('text', { text }) })
      send('answer', answerToWire(answer))
    }, options.signal)
    return c.body(events, 200, eventStreamHeaders)
  })

  app.openapi(askMany, async (c) => {
    const caller = callerOf(c)
    access.require(caller, { action: 'ask', target: 'windows', name: 'many' })
    const { stream, ...body } = c.req.valid('json')
    const asked = manyQuestionOf(caller, body)
    const hold = (bytes: number) => holds.add(c.env, bytes)
    const options = { ...caller.operation, signal: closeSignal(c.env.outgoing), hold }
    c.set('isCounted', true)
    if (!stream) return c.json(manyAnswerToWire(await manyAsker.ask(asked, { ...options, onEvent: () => {} })), 200)
    const events = eventsOf(async (send) => {
      await manyAsker.ask(asked, { ...options, onEvent: (event) => send(event.type, eventToWire(event)) })
    }, options.signal)
    return c.body(events, 200, eventStreamHeaders)
  })
}

function manyQuestionOf(
  { tenant, sharer, policy }: ApiCaller,
  body: Omit<z.output<typeof manyAskBody>, 'stream'>,
): ManyQuestion {
  const { names, tag, search } = body.windows
  return {
    tenant,
    sharer,
    policy,
    question: body.question,
    instructions: body.instructions,
    windows: names === undefined ? { tag, search } : { names },
    select: body.select,
    parallel: body.parallel,
    maxTokens: body.max_tokens,
    temperature: body.temperature,
    budgetTokens: body.budget_tokens,
    reduce: body.reduce,
    reduceModel: body.reduce_model,
    deadlineMs: body.deadline_ms,
    conversation: [],
  }
}
