// POST /v1/messages (Anthropic's API): how its messages are identified and its answers read.

import { isObject, isPresent, type JsonObject, type JsonValue, parseJson } from '../base/json.ts'
import type { Usage } from '../base/records.ts'
import type { DeltaRules } from '../sse/deltas.ts'
import { anthropicAsChat } from './anthropic-as-chat.ts'
import { anthropicErrors } from './anthropic-errors.ts'
import { type ArgumentsBudget, frame, stableArguments, stableJson } from './canonical-json.ts'
import { canonicalContent, canonicalPart, isFromModel, MANY_PARTS } from './chat.ts'
import type { CanonicalMessage, DialectRules, Observation, QuestionRules, ToolCall } from './dialect.ts'
import { BILLING_HEADER, countOf, readMessageList, serverStateError, textMessage, textOf } from './fields.ts'

function canonicalBlock(block: JsonValue, role: string, budget: ArgumentsBudget | undefined): string {
  if (!isObject(block)) return frame('j', stableJson(block))
  switch (block.type) {
    case 'text': {
      const text = textOf(block.text) ?? ''
      // The engine drops the whole block, from system prompts only: docs/engine-behavior.md#billing-header.
      return text === '' || (role === 'system' && text.startsWith(BILLING_HEADER)) ? '' : frame('t', text)
    }
    case 'tool_use':
      return frame(
        'c',
        frame('i', textOf(block.id) ?? '') +
          frame('n', textOf(block.name) ?? '') +
          frame('a', stableArguments(block.input, budget)),
      )
    case 'tool_result': {
      const failed = block.is_error === true ? frame('e', '') : ''
      return frame(
        'r',
        frame('i', textOf(block.tool_use_id) ?? '') + failed + canonicalContent(block.content, ['text']),
      )
    }
    case 'thinking':
    case 'redacted_thinking':
      return ''
    default:
      return canonicalPart(block)
  }
}

/** Kept: role, text, tool use (id, name, input), tool results, images. Dropped: thinking, `cache_control`, citations, nulls. */
function canonical(message: JsonValue, budget?: ArgumentsBudget): CanonicalMessage {
  if (!isObject(message)) return { text: frame('j', stableJson(message)), fromModel: false }
  const role = textOf(message.role) ?? ''
  const content = message.content
  const text =
    Array.isArray(content) && content.length <= MANY_PARTS
      ? content.map((block: JsonValue) => canonicalBlock(block, role, budget)).join('')
      : canonicalContent(content, ['text'])
  return { text: frame('r', role) + text, fromModel: isFromModel(message) }
}

/**
 * The prompt is the sum of three counts (docs/engine-behavior.md#anthropic-usage). Its cached share is `cache_read_input_tokens`.
 */
function readUsage(value: JsonValue | undefined): Usage | undefined {
  if (!isObject(value)) return undefined
  const input = countOf(value.input_tokens)
  if (input === undefined) return undefined
  const cachedTokens = countOf(value.cache_read_input_tokens)
  const promptTokens = input + (cachedTokens ?? 0) + (countOf(value.cache_creation_input_tokens) ?? 0)
  const completionTokens = countOf(value.output_tokens) ?? 0
  const usage = { promptTokens, completionTokens, totalTokens: promptTokens + completionTokens }
  return cachedTokens === undefined ? usage : { ...usage, cachedTokens }
}

/** A stream reports usage twice, and the later event may omit counts of the first: uses the newest count of each kind. */
function mergeUsage(known: JsonObject, value: JsonValue | undefined): JsonObject {
  if (!isObject(value)) return known
  return { ...known, ...Object.fromEntries(Object.entries(value).filter(([, count]) => countOf(count) !== undefined)) }
}

function observeJson(body: JsonObject): Observation {
  const usage = readUsage(body.usage)
  const finishReason = textOf(body.stop_reason)
  const messages = Array.isArray(body.content) ? [{ role: 'assistant', content: body.content }] : []
  const choices = [finishReason === undefined ? { messages } : { messages, finishReason }]
  const complete = messages.length > 0 && finishReason !== undefined
  return usage === undefined ? { choices, complete } : { usage, choices, complete }
}

interface Block {
  readonly start: JsonObject
  text: string
  json: string
}

function finishBlock({ start, text, json }: Block): JsonValue {
  if (json !== '') return { ...start, input: parseJson(json) ?? {} }
  if (start.type !== 'text' && start.type !== 'thinking') return start
  return { ...start, [start.type]: (textOf(start[start.type]) ?? '') + text }
}

function observeEvents(events: readonly JsonObject[]): Observation {
  const blocks = new Map<number, Block>()
  let counts: JsonObject = {}
  let finishReason: string | undefined
  let stopped = false
  let failed = false
  for (const event of events) {
    const index = typeof event.index === 'number' ? event.index : 0
    const delta = event.delta
    switch (event.type) {
      case 'message_start':
        if (isObject(event.message)) counts = mergeUsage(counts, event.message.usage)
        break
      case 'content_block_start':
        if (isObject(event.content_block)) blocks.set(index, { start: event.content_block, text: '', json: '' })
        break
      case 'content_block_delta': {
        const block = blocks.get(index)
        if (block === undefined || !isObject(delta)) break
        block.text += textOf(delta.text) ?? textOf(delta.thinking) ?? ''
        block.json += textOf(delta.partial_json) ?? ''
        break
      }
      case 'message_delta':
        if (isObject(delta)) finishReason = textOf(delta.stop_reason) ?? finishReason
        counts = mergeUsage(counts, event.usage)
        break
      case 'message_stop':
        stopped = true
        break
      case 'error':
        failed = true
        break
    }
  }
  const content = [...blocks.entries()].sort(([a], [b]) => a - b).map(([, block]) => finishBlock(block))
  const messages = [{ role: 'assistant', content }]
  const choices = [finishReason === undefined ? { messages } : { messages, finishReason }]
  const usage = readUsage(counts)
  const complete = stopped && !failed && finishReason !== undefined
  return usage === undefined ? { choices, complete } : { usage, choices, complete }
}

function probe(text: string, previous: JsonValue | undefined): readonly JsonValue[] {
  const content = isObject(previous) && previous.role === 'assistant' ? previous.content : undefined
  const calls = Array.isArray(content)
    ? (content as readonly JsonValue[]).filter(isObject).filter((block) => block.type === 'tool_use')
    : []
  if (calls.length === 0) return [{ role: 'user', content: text }]
  const results = calls.map((call) => ({ type: 'tool_result', tool_use_id: textOf(call.id) ?? '', content: text }))
  return [{ role: 'user', content: results }]
}

/** The ids of all blocks of this type; '' for one without an id. */
function idsOf(message: JsonValue, type: string, field: string): readonly string[] {
  const content = isObject(message) ? message.content : undefined
  if (!Array.isArray(content)) return []
  return (content as readonly JsonValue[])
    .filter(isObject)
    .filter((block) => block.type === type)
    .map((block) => textOf(block[field]) ?? '')
}

function toolCalls(message: JsonValue): readonly ToolCall[] {
  const content = isObject(message) ? message.content : undefined
  if (!Array.isArray(content)) return []
  return (content as readonly JsonValue[]).flatMap((block) => {
    const isCall = isObject(block) && block.type === 'tool_use' && typeof block.name === 'string'
    return isCall ? [{ name: block.name as string, arguments: block.input }] : []
  })
}

/** The field of a block delta that adds text. */
function deltaField({ type, delta }: JsonObject): 'text' | 'thinking' | undefined {
  if (type !== 'content_block_delta' || !isObject(delta)) return undefined
  if (delta.type === 'text_delta') return 'text'
  return delta.type === 'thinking_delta' ? 'thinking' : undefined
}

const deltas: DeltaRules = {
  textOf(event) {
    const field = deltaField(event)
    return field === undefined || !isObject(event.delta) ? undefined : textOf(event.delta[field])
  },
  withText(event, text) {
    const field = deltaField(event)
    return field === undefined || !isObject(event.delta)
      ? event
      : { ...event, delta: { ...event.delta, [field]: text } }
  },
}

const questions: QuestionRules = {
  fields: ({ maxTokens, temperature, withoutTools }) => ({
    max_tokens: maxTokens,
    ...(temperature === undefined ? {} : { temperature }),
    ...(withoutTools ? { tool_choice: { type: 'none' } } : {}),
    stream: true,
  }),
  textOf: ({ type, delta }) =>
    type === 'content_block_delta' && isObject(delta) && delta.type === 'text_delta' ? textOf(delta.text) : undefined,
}

function checkServerState({ thread }: JsonObject): void {
  if (isObject(thread) && isPresent(thread.previous_message_id)) throw serverStateError('thread', 'messages')
}

export const messagesRules: DialectRules = {
  dialect: 'messages',
  title: 'messages',
  path: '/v1/messages',
  plainPaths: { '/v1/messages/count_tokens': ['POST'] },
  errors: anthropicErrors,
  stored: undefined,
  checkServerState,
  messagesField: 'messages',
  shapingFields: ['system', 'tools', 'tool_choice', 'thinking', 'chat_template_kwargs', 'output_config'],
  slightFields: ['tool_choice', 'output_config'],
  vocabulary: {
    partFields: ['content'],
    textParts: ['text', 'thinking', 'redacted_thinking', 'tool_use', 'tool_result'],
    mediaParts: ['image'],
    calls: ['tool_use'],
    results: ['tool_result'],
    toolFields: ['tools'],
  },
  readMessages: readMessageList,
  systemField: 'system',
  systemPartType: 'text',
  // Anthropic's shape has no system messages.
  newSystem: 'field',
  outerSystem: (body) => {
    const system = body.system
    return system === undefined || system === null ? undefined : { role: 'system', content: system }
  },
  canonical,
  isFromModel,
  probe,
  textMessage,
  isSystem: (message) => isObject(message) && message.role === 'system',
  toolCallIds: (message) => idsOf(message, 'tool_use', 'id'),
  toolResultIds: (message) => idsOf(message, 'tool_result', 'tool_use_id'),
  toolCalls,
  maxTokens: (body) => countOf(body.max_tokens),
  cutReason: 'max_tokens',
  renderFields: { max_tokens: 1 },
  toChat: anthropicAsChat,
  usageOnRequest: false,
  observeJson,
  observeEvents,
  deltas,
  questions,
  terminalLines: [Buffer.from('\nevent: message_stop')],
}
