// POST /v1/responses and its store (VLLM_ENABLE_RESPONSES_API_STORE). Anybody who knows an id can read the response.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { chatTurn } from './chat-request.ts'
import type { Generation } from './engine.ts'
import { EngineError, ValidationError } from './errors.ts'
import { newId, newUnderscoreId } from './ids.ts'
import { Lru } from './lru.ts'
import { booleanField, numberField, objectBody } from './request-body.ts'
import { callItem, messageItem, responseOf, usageOf } from './responses-shape.ts'
import { responseEvents } from './responses-stream.ts'
import { type Answer, nowSeconds, type Routes } from './routes.ts'
import { type Core, runWhole, spokenText, type Turn, toolCallsOf } from './turn.ts'

const STORED_RESPONSES = 1000

interface Stored {
  readonly response: JsonObject
  /** The conversation up to and including this response. */
  readonly messages: readonly JsonObject[]
}

export function responsesRoutes(core: Core): Routes {
  const stored = new Lru<Stored>(STORED_RESPONSES)
  const find = (id: string): Stored => {
    const found = stored.get(id)
    if (found) return found
    throw new EngineError(404, `Response with id '${id}' not found.`, 'response_id', 'invalid_request_error')
  }
  return {
    'POST /v1/responses': async (request): Promise<Answer> => {
      const body = objectBody(request)
      if (body.input === undefined) {
        const input = `'<dict of ${Object.keys(body).length + 1} items>'`
        throw new ValidationError([{ type: 'missing', loc: 'body.input', msg: 'Field required', input }])
      }
      const previous = body.previous_response_id
      const before = typeof previous === 'string' ? find(previous).messages : []
      const messages = [...instructions(body), ...before, ...inputMessages(body.input)]
      const { turn } = chatTurn(core, asChat(body, messages), 'max_output_tokens')
      const head = {
        id: newUnderscoreId('resp'),
        created_at: nowSeconds(),
        model: String(body.model ?? core.settings.model),
      }
      const draft = { body, turn, head }
      const keep = (response: JsonObject): void => {
        if (body.store !== false)
          stored.set(head.id, { response, messages: [...before, ...inputMessages(body.input), ...replyMessages(turn)] })
      }
      if (booleanField(body, 'stream'))
        return { status: 200, events: responseEvents(core, draft, keep, request.signal) }
      const prefill = await runWhole(core, turn, request.signal)
      const response = responseOf(draft, { output: outputItems(turn), usage: usageOf(core, turn, prefill), done: true })
      keep(response)
      return { status: 200, json: response }
    },
    'GET /v1/responses/:id': ({ params, query }) => {
      const { response } = find(params.id ?? '')
      // vLLM keeps events only for background responses, so the stream of any other is empty (recorded).
      return query.get('stream') === 'true' ? { status: 200, events: noEvents() } : { status: 200, json: response }
    },
    'POST /v1/responses/:id/cancel': ({ params }) => {
      find(params.id ?? '')
      throw new EngineError(400, 'Cannot cancel a synchronous response.', 'response_id', 'invalid_request_error')
    },
  }
}

async function* noEvents(): AsyncGenerator<string> {}

/** Converts a responses body to the equivalent chat body. */
export function asChat(body: JsonObject, messages: readonly JsonObject[]): JsonObject {
  const limit = numberField(body, 'max_output_tokens')
  const tools = Array.isArray(body.tools) ? (body.tools as readonly JsonValue[]).filter(isObject) : []
  return {
    ...(body.model !== undefined && { model: body.model }),
    ...(body.cache_salt !== undefined && { cache_salt: body.cache_salt }),
    ...(body.chat_template_kwargs !== undefined && { chat_template_kwargs: body.chat_template_kwargs }),
    ...(limit !== undefined && { max_tokens: limit }),
    messages,
    ...(tools.length > 0 && {
      tools: tools.map(({ name, description, parameters }) => ({
        type: 'function',
        function: { name, description: description ?? null, parameters: parameters ?? null },
      })),
      tool_choice: body.tool_choice ?? 'auto',
    }),
  }
}

/** The conversation in a responses body, without a stored one before it. */
export function messagesOf(body: JsonObject): JsonObject[] {
  return [...instructions(body), ...inputMessages(body.input)]
}

const instructions = (body: JsonObject): JsonObject[] =>
  typeof body.instructions === 'string' ? [{ role: 'system', content: body.instructions }] : []

function inputMessages(input: JsonValue | undefined): JsonObject[] {
  if (!Array.isArray(input)) return [{ role: 'user', content: input ?? '' }]
  return (input as readonly JsonValue[]).filter(isObject).flatMap((item): JsonObject[] => {
    if (item.type === 'function_call') {
      const call = { id: item.call_id, type: 'function', function: { name: item.name, arguments: item.arguments } }
      return [{ role: 'assistant', content: null, tool_calls: [call] }]
    }
    if (item.type === 'function_call_output')
      return [{ role: 'tool', tool_call_id: item.call_id, content: item.output }]
    return item.role === undefined ? [] : [{ role: item.role, content: item.content }]
  })
}

function replyMessages(turn: Turn): JsonObject[] {
  return turn.generations.slice(0, 1).map((generation) => {
    const calls = toolCallsOf(generation).map((call) => ({ type: 'function', function: call }))
    return {
      role: 'assistant',
      content: spokenText(generation, 'content'),
      ...(calls.length > 0 && { tool_calls: calls }),
    }
  })
}

function outputItems(turn: Turn): JsonObject[] {
  const [generation] = turn.generations as readonly [Generation?]
  if (generation === undefined) return []
  const calls = toolCallsOf(generation)
  const text = spokenText(generation, 'content')
  return [
    ...(text === '' && calls.length > 0 ? [] : [messageItem(newUnderscoreId('msg'), 'completed', text)]),
    ...calls.map((call) => callItem(newUnderscoreId('fc'), newId('chatcmpl-tool'), 'completed', call)),
  ]
}
