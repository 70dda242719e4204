// A chat API over windows, for chat apps that can only set a base URL. Under /cwm/a/TAG/v1, each message is a question to all windows with
// this tag, and the model writes the reply from their answers.

import type { IncomingMessage, ServerResponse } from 'node:http'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { type Context, Hono } from 'hono'
import type { ByteReservation } from '../admission/byte-reservation.ts'
import { CwmError } from '../base/errors.ts'
import { isObject } from '../base/json.ts'
import type { WindowRecord } from '../base/records.ts'
import { RequestScope } from '../base/request-scope.ts'
import type { Caller } from '../base/tenants.ts'
import { answerChat, type ChatAnswererParts } from './chat-answerer.ts'
import { readChatControls } from './chat-controls.ts'
import { readChatQuestion } from './chat-question.ts'

interface Env {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
}
type Bindings = { Bindings: Env }
type Ctx = Context<Bindings>

export interface AskChatParts extends ChatAnswererParts {
  /** Identifies the sender of a request. Throws `UNAUTHORIZED`. */
  readonly callerOf: (request: IncomingMessage) => Caller
  /** Opens a reservation for the bytes of an answer, which ends with the scope. `sharer`: see `Caller.sharer`. */
  readonly holdAnswer: (sharer: string, scope: RequestScope) => Pick<ByteReservation, 'add'>
}

const BASE = '/cwm/a/:tag'
/** As for windows: `labels` in src/wire/windows.ts. */
const TAG = /^[\x21-\x7e]{1,64}$/

/** The routes, to be mounted where bodies are received and parsed, and errors become answers (src/api/api.ts). */
export function createAskChat(parts: AskChatParts): Hono<Bindings> {
  const app = new Hono<Bindings>()

  const cardOf = async (c: Ctx, tag: string) => {
    const { createdAt } = await newestOf(parts, c, tag)
    return { id: modelOf(tag), object: 'model', created: Math.floor(createdAt / 1_000), owned_by: 'cwm' }
  }

  app.get(`${BASE}/v1/models`, async (c) => c.json({ object: 'list', data: [await cardOf(c, tagOf(c))] }))

  app.get(`${BASE}/v1/models/:model`, async (c) => {
    const tag = tagOf(c)
    checkModel(c.req.param('model'), tag)
    return c.json(await cardOf(c, tag))
  })

  app.post(`${BASE}/v1/chat/completions`, async (c) => {
    const tag = tagOf(c)
    const controls = readChatControls(c.env.incoming.headers)
    const body: unknown = await c.req.json()
    if (!isObject(body)) throw new CwmError('INVALID_JSON', 'the request body must be a JSON object', { param: 'body' })
    const question = readChatQuestion(body)
    checkModel(body.model, tag)
    // Before a stream begins, so that an unknown tag is reported with its status.
    await newestOf(parts, c, tag)
    const caller = parts.callerOf(c.env.incoming)
    const held = parts.holdAnswer(caller.sharer, RequestScope.of(c.env.outgoing))
    const hold = (bytes: number) => held.add(bytes)
    await answerChat(parts, c.env.outgoing, { caller, tag, model: modelOf(tag), question, controls, hold })
    return RESPONSE_ALREADY_SENT
  })

  return app
}

function modelOf(tag: string): string {
  return `ask:${tag}`
}

function tagOf(c: Ctx): string {
  const tag = c.req.param('tag') ?? ''
  if (TAG.test(tag)) return tag
  throw new CwmError('INVALID_PATH', '/cwm/a/TAG/v1: a tag is 1 to 64 visible ASCII characters', { param: 'path' })
}

/** Throws `WINDOW_NOT_FOUND` if the caller's tenant has no frozen window with this tag. */
async function newestOf({ windows, callerOf }: AskChatParts, c: Ctx, tag: string): Promise<WindowRecord> {
  const { tenant } = callerOf(c.env.incoming)
  const { items } = await windows.list(tenant, { limit: 1, tags: [tag], state: 'frozen' })
  const [newest] = items
  if (newest !== undefined) return newest
  throw new CwmError(
    'WINDOW_NOT_FOUND',
    `no frozen window under this key has the tag ${tag}; give windows this tag when you freeze them, or with PATCH /cwm/v1/windows/NAME`,
    { param: 'path' },
  )
}

function checkModel(model: unknown, tag: string): void {
  if (model === modelOf(tag)) return
  const given = typeof model === 'string' ? JSON.stringify(model.slice(0, 80)) : 'missing'
  throw new CwmError('INVALID_FIELD', `\`model\` is ${given}; this base URL has one model, ${modelOf(tag)}`, {
    param: 'model',
  })
}
