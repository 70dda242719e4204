// POST /v1/messages and its count_tokens: Anthropic's dialect, translated to chat.

import { isObject, type JsonObject, type JsonValue, parseJson } from '../base/json.ts'
import { chatIds, chatTurn } from './chat-request.ts'
import type { Delta, Generation, Prefill } from './engine.ts'
import { EngineError, HttpError, ValidationError } from './errors.ts'
import { newId } from './ids.ts'
import { adapterOf, booleanField, objectBody, requireFields } from './request-body.ts'
import type { Answer, Handler, SimRequest } from './routes.ts'
import { namedEvent } from './sse.ts'
import { type Core, completionTokens, runSteps, runWhole, spokenText, type Turn, toolCallsOf } from './turn.ts'

/** Converts errors to Anthropic's format; pydantic's errors stay unchanged (recorded). */
function anthropicErrors(handler: Handler): Handler {
  return async (request) => {
    try {
      return await handler(request)
    } catch (error) {
      if (!(error instanceof EngineError) || error instanceof ValidationError || error.type === 'Bad Request')
        throw error
      throw new HttpError(error.status, { type: 'error', error: { type: error.type, message: error.text } })
    }
  }
}

function messagesBody(request: SimRequest, required: readonly string[]): JsonObject {
  const body = objectBody(request)
  requireFields(body, required)
  if (body.cache_salt === '') {
    const violation = {
      type: 'string_too_short',
      loc: 'body.cache_salt',
      msg: 'String should have at least 1 character',
    }
    throw new ValidationError([{ ...violation, input: "''", ctx: "{'min_length': 1}" }])
  }
  return body
}

export function messagesRoute(core: Core): Handler {
  return anthropicErrors(async (request): Promise<Answer> => {
    const body = messagesBody(request, ['messages', 'max_tokens'])
    const { turn } = chatTurn(core, asChat(body), 'max_completion_tokens')
    const head = { id: newId('chatcmpl'), model: String(body.model ?? core.settings.model) }
    if (booleanField(body, 'stream')) return { status: 200, events: messageEvents(core, turn, head, request.signal) }
    const prefill = await runWhole(core, turn, request.signal)
    const [generation] = turn.generations
    if (generation === undefined) throw new EngineError(500, 'no answer')
    const json = {
      id: head.id,
      type: 'message',
      role: 'assistant',
      content: blocksOf(generation),
      model: head.model,
      stop_reason: stopReason(generation),
      usage: usageOf(core, turn, prefill),
    }
    return { status: 200, json }
  })
}

export function countTokensRoute(core: Core): Handler {
  return anthropicErrors((request) => {
    const body = messagesBody(request, ['messages'])
    adapterOf(body, core.settings)
    const count = chatIds(core, asChat(body)).length
    return { status: 200, json: { input_tokens: count, context_management: { original_input_tokens: count } } }
  })
}

/** Converts an Anthropic body to the chat body that vLLM derives from it. */
export function asChat(body: JsonObject): JsonObject {
  const system = systemText(body.system)
  const messages = Array.isArray(body.messages) ? (body.messages as readonly JsonValue[]).filter(isObject) : []
  const tools = Array.isArray(body.tools) ? (body.tools as readonly JsonValue[]).filter(isObject) : []
  const { type: choice, name } = isObject(body.tool_choice) ? body.tool_choice : { type: undefined, name: undefined }
  const toolChoice =
    choice === 'tool' ? { type: 'function', function: { name } } : choice === 'any' ? 'required' : (choice ?? undefined)
  return {
    ...(body.model !== undefined && { model: body.model }),
    ...(body.cache_salt !== undefined && { cache_salt: body.cache_salt }),
    ...(body.chat_template_kwargs !== undefined && { chat_template_kwargs: body.chat_template_kwargs }),
    ...(body.stop_sequences !== undefined && { stop: body.stop_sequences }),
    max_completion_tokens: body.max_tokens,
    messages: [...(system === '' ? [] : [{ role: 'system', content: system }]), ...messages.flatMap(chatMessages)],
    ...(tools.length > 0 && {
      tools: tools.map(({ name, description, input_schema }) => ({
        type: 'function',
        function: { name, description: description ?? null, parameters: input_schema ?? null },
      })),
      tool_choice: toolChoice ?? 'auto',
    }),
  }
}

/** The engine drops blocks that start with this: docs/engine-behavior.md#billing-header. */
const BILLING_HEADER = 'x-anthropic-billing-header'

const isAttribution = (text: JsonValue | undefined): boolean =>
  typeof text === 'string' && text.startsWith(BILLING_HEADER)

/** A system prompt without attribution blocks. A system prompt given as a string stays unchanged. */
function systemText(content: JsonValue | undefined): string {
  if (!Array.isArray(content)) return textOf(content)
  return textOf((content as readonly JsonValue[]).filter((block) => !(isObject(block) && isAttribution(block.text))))
}

/** An inline system message without its attribution; no message if nothing remains. */
function inlineSystem({ content }: JsonObject): JsonObject[] {
  const text = isAttribution(content) ? '' : systemText(content)
  return text === '' ? [] : [{ role: 'system', content: text }]
}

function textOf(content: JsonValue | undefined): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return (content as readonly JsonValue[]).map((block) => (isObject(block) ? String(block.text ?? '') : '')).join('')
}

function chatMessages(message: JsonObject): JsonObject[] {
  if (message.role === 'system') return inlineSystem(message)
  if (!Array.isArray(message.content)) return [message]
  const blocks = (message.content as readonly JsonValue[]).filter(isObject)
  const results = blocks
    .filter((block) => block.type === 'tool_result')
    .map((block) => ({ role: 'tool', tool_call_id: block.tool_use_id, content: textOf(block.content) }))
  const calls = blocks
    .filter((block) => block.type === 'tool_use')
    .map((block) => ({
      id: block.id,
      type: 'function',
      function: { name: block.name, arguments: JSON.stringify(block.input) },
    }))
  const content = blocks
    .filter((block) => block.type === 'text' || block.type === 'image')
    .map((block) =>
      block.type === 'text' ? { type: 'text', text: block.text } : { type: 'image_url', image_url: block.source },
    )
  if (content.length === 0 && calls.length === 0) return results
  return [...results, { role: message.role, content, ...(calls.length > 0 && { tool_calls: calls }) }]
}

function blocksOf(generation: Generation): unknown[] {
  const calls = toolCallsOf(generation).map((call) => ({
    type: 'tool_use',
    id: newId('chatcmpl-tool'),
    name: call.name,
    input: parseJson(call.arguments) ?? {},
  }))
  const thinking = spokenText(generation, 'reasoning')
  const text = spokenText(generation, 'content')
  return [
    ...(thinking === '' ? [] : [{ type: 'thinking', thinking, signature: newId('sig') }]),
    ...(text === '' && calls.length > 0 ? [] : [{ type: 'text', text }]),
    ...calls,
  ]
}

function stopReason(generation: Generation): string {
  if (generation.ended === 'length') return 'max_tokens'
  return toolCallsOf(generation).length > 0 ? 'tool_use' : 'end_turn'
}

/** `input_tokens` excludes cached and newly cached tokens: docs/engine-behavior.md#anthropic-usage. */
function usageOf(core: Core, turn: Turn, { cached, created }: Prefill): object {
  const output_tokens = completionTokens(turn)
  if (!core.settings.promptTokensDetails) return { input_tokens: turn.ids.length, output_tokens }
  return {
    input_tokens: turn.ids.length - cached - created,
    output_tokens,
    cache_creation_input_tokens: created,
    cache_read_input_tokens: cached,
  }
}

async function* messageEvents(
  core: Core,
  turn: Turn,
  head: { id: string; model: string },
  signal: AbortSignal,
): AsyncGenerator<string> {
  let prefill: Prefill = { cached: 0, created: 0 }
  let open: string | undefined
  let index = -1
  for await (const event of runSteps(core, turn, signal)) {
    if (event.kind === 'prefill') {
      prefill = event.prefill
      const nothing = { content: [], model: head.model, stop_reason: null, stop_sequence: null }
      const usage = { input_tokens: turn.ids.length, output_tokens: 0 }
      yield typed('message_start', { message: { id: head.id, type: 'message', role: 'assistant', ...nothing, usage } })
      continue
    }
    for (const delta of event.step.deltas) {
      const block = delta.kind === 'call' || delta.kind === 'arguments' ? `tool ${delta.index}` : delta.kind
      if (block !== open) {
        if (open !== undefined) yield typed('content_block_stop', { index })
        open = block
        index++
        yield typed('content_block_start', { content_block: emptyBlock(delta), index })
      }
      if (delta.kind !== 'call') yield typed('content_block_delta', { delta: blockDelta(delta), index })
    }
  }
  if (open !== undefined) yield typed('content_block_stop', { index })
  const [generation] = turn.generations
  const stop = { stop_reason: generation === undefined ? 'end_turn' : stopReason(generation), stop_sequence: null }
  yield typed('message_delta', { delta: stop, usage: usageOf(core, turn, prefill) })
  yield typed('message_stop', {})
}

const typed = (type: string, rest: object): string => namedEvent({ type, ...rest })

function emptyBlock(delta: Delta): object {
  if (delta.kind === 'call') return { type: 'tool_use', id: newId('chatcmpl-tool'), name: delta.name, input: {} }
  return delta.kind === 'reasoning' ? { type: 'thinking', thinking: '' } : { type: 'text', text: '' }
}

function blockDelta(delta: Exclude<Delta, { kind: 'call' }>): object {
  if (delta.kind === 'arguments') return { type: 'input_json_delta', partial_json: delta.text }
  if (delta.kind === 'reasoning') return { type: 'thinking_delta', thinking: delta.text }
  return { type: 'text_delta', text: delta.text }
}
