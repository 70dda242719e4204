// POST /v1/chat/completions: how its messages are identified and its answers read.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Usage } from '../base/records.ts'
import type { DeltaRules } from '../sse/deltas.ts'
import { type ArgumentsBudget, frame, stableArguments, stableJson, stableJsonWithout } from './canonical-json.ts'
import type { CanonicalMessage, Choice, DialectRules, Observation, QuestionRules, ToolCall } from './dialect.ts'
import { openAiErrors } from './errors.ts'
import { BILLING_HEADER, countOf, readMessageList, textMessage, textOf } from './fields.ts'
import { chatUsage, readOpenAiUsage } from './openai-usage.ts'

/**
 * By default a body may hold fewer values than this, so a longer list consists of numbers, which no engine accepts as parts. Such a list is
 * framed as a whole.
 */
export const MANY_PARTS = 100_000

/** `content` as frames: a string, a list with one text part, and a refusal of the same text are equal. Empty content equals none. */
export function canonicalContent(content: JsonValue | undefined, textTypes: readonly string[]): string {
  if (typeof content === 'string') return content === '' ? '' : frame('t', content)
  if (!Array.isArray(content)) return content === null || content === undefined ? '' : frame('j', stableJson(content))
  if (content.length > MANY_PARTS) return frame('j', stableJson(content))
  return content
    .map((part: JsonValue) => {
      if (typeof part === 'string') return frame('t', part)
      if (isObject(part) && (part.type === 'refusal' || textTypes.includes(textOf(part.type) ?? ''))) {
        const text = textOf(part.type === 'refusal' ? part.refusal : part.text) ?? ''
        return text === '' ? '' : frame('t', text)
      }
      return canonicalPart(part)
    })
    .join('')
}

/** A non-text part. `cache_control` moves from turn to turn, and no engine puts it into the prompt. */
export function canonicalPart(part: JsonValue): string {
  if (!isObject(part)) return frame('p', stableJson(part))
  return frame('p', stableJsonWithout(part, ['cache_control']))
}

/** The engine drops this line from system prompts, so the identity excludes it too: docs/engine-behavior.md#billing-header. */
function withoutBillingLine(content: JsonValue | undefined): JsonValue | undefined {
  if (typeof content === 'string') {
    if (!content.startsWith(BILLING_HEADER)) return content
    const end = content.indexOf('\n')
    return end === -1 ? '' : content.slice(end + 1)
  }
  if (!Array.isArray(content)) return content
  return content.map((part: JsonValue) => {
    if (typeof part === 'string') return withoutBillingLine(part) ?? ''
    if (!isObject(part) || part.type !== 'text' || typeof part.text !== 'string') return part
    return { ...part, text: withoutBillingLine(part.text) }
  })
}

function canonicalToolCall(call: JsonValue, budget: ArgumentsBudget | undefined): string {
  if (!isObject(call)) return frame('c', stableJson(call))
  const id = frame('i', textOf(call.id) ?? '')
  const fn = call.function
  if (!isObject(fn)) return frame('c', id + stableJson(call))
  return frame('c', id + frame('n', textOf(fn.name) ?? '') + frame('a', stableArguments(fn.arguments, budget)))
}

function canonicalCalls(calls: readonly JsonValue[], budget: ArgumentsBudget | undefined): string {
  if (calls.length > MANY_PARTS) return frame('c', stableJson(calls))
  return calls.map((call) => canonicalToolCall(call, budget)).join('')
}

const textTypes = ['text']

/** Whether the model wrote the message. */
export function isFromModel(message: JsonValue): boolean {
  return isObject(message) && message.role === 'assistant'
}

/**
 * Kept: role, content, refusal (as text, because Vercel's SDK echoes it as content), name, tool_call_id, tool_calls (id, name, arguments),
 * function_call. Dropped: everything else, including nulls, `annotations`, `audio`, `index`, `parsed`, and `reasoning`/`reasoning_content`,
 * which most SDKs do not echo.
 */
function canonical(message: JsonValue, budget?: ArgumentsBudget): CanonicalMessage {
  if (!isObject(message)) return { text: frame('j', stableJson(message)), fromModel: false }
  const role = textOf(message.role) ?? ''
  const content = role === 'system' ? withoutBillingLine(message.content) : message.content
  let text = frame('r', role) + canonicalContent(content, textTypes)
  const refusal = textOf(message.refusal)
  if (refusal !== undefined && refusal !== '') text += frame('t', refusal)
  const name = textOf(message.name)
  if (name !== undefined && name !== '') text += frame('n', name)
  const callId = textOf(message.tool_call_id)
  if (callId !== undefined && callId !== '') text += frame('i', callId)
  const calls = message.tool_calls
  if (Array.isArray(calls)) text += canonicalCalls(calls, budget)
  if (isObject(message.function_call)) text += frame('l', stableJson(message.function_call))
  return { text, fromModel: isFromModel(message) }
}

function observeJson(body: JsonObject): Observation {
  const usage = readOpenAiUsage(body.usage, chatUsage)
  const listed = Array.isArray(body.choices) ? (body.choices as readonly JsonValue[]) : []
  const choices = listed.filter(isObject).map((choice): Choice => {
    const finishReason = textOf(choice.finish_reason)
    const message = choice.message
    const messages = message === undefined ? [] : [message]
    return finishReason === undefined ? { messages } : { messages, finishReason }
  })
  const complete = choices.length > 0 && choices.every((choice) => choice.finishReason !== undefined)
  return usage === undefined ? { choices, complete } : { usage, choices, complete }
}

const textFields = ['content', 'refusal', 'reasoning', 'reasoning_content']

/** One choice of a stream, assembled from its deltas. */
class ChoiceBuilder {
  readonly #text = new Map<string, string>()
  readonly #calls = new Map<number, { id: string; name: string; arguments: string }>()
  finishReason: string | undefined

  add(choice: JsonObject): void {
    this.finishReason = textOf(choice.finish_reason) ?? this.finishReason
    const delta = choice.delta
    if (!isObject(delta)) return
    for (const field of textFields) {
      const piece = textOf(delta[field])
      if (piece !== undefined) this.#text.set(field, (this.#text.get(field) ?? '') + piece)
    }
    const calls = delta.tool_calls
    if (Array.isArray(calls)) for (const call of calls as readonly JsonValue[]) this.#addCall(call)
  }

  #addCall(call: JsonValue): void {
    if (!isObject(call)) return
    const index = typeof call.index === 'number' ? call.index : this.#calls.size
    const known = this.#calls.get(index) ?? { id: '', name: '', arguments: '' }
    // Some servers repeat the id in each delta, some send it empty.
    known.id = textOf(call.id) || known.id
    const fn = call.function
    if (isObject(fn)) {
      known.name += textOf(fn.name) ?? ''
      known.arguments += textOf(fn.arguments) ?? ''
    }
    this.#calls.set(index, known)
  }

  build(): Choice {
    const message: Record<string, JsonValue> = { role: 'assistant', content: this.#text.get('content') ?? null }
    for (const field of ['refusal', 'reasoning', 'reasoning_content']) {
      const text = this.#text.get(field)
      if (text !== undefined && text !== '') message[field] = text
    }
    const calls = [...this.#calls.entries()].sort(([a], [b]) => a - b)
    if (calls.length > 0) {
      message.tool_calls = calls.map(([, { id, name, arguments: args }]) => ({
        id,
        type: 'function',
        function: { name, arguments: args },
      }))
    }
    const messages = [message]
    return this.finishReason === undefined ? { messages } : { messages, finishReason: this.finishReason }
  }
}

function observeEvents(events: readonly JsonObject[]): Observation {
  const builders = new Map<number, ChoiceBuilder>()
  let usage: Usage | undefined
  let failed = false
  for (const event of events) {
    if (event.error !== undefined && event.error !== null) failed = true
    usage = readOpenAiUsage(event.usage, chatUsage) ?? usage
    const choices = event.choices
    if (!Array.isArray(choices)) continue
    for (const choice of choices as readonly JsonValue[]) {
      if (!isObject(choice)) continue
      const index = typeof choice.index === 'number' ? choice.index : 0
      const builder = builders.get(index) ?? new ChoiceBuilder()
      builder.add(choice)
      builders.set(index, builder)
    }
  }
  const choices = [...builders.entries()].sort(([a], [b]) => a - b).map(([, builder]) => builder.build())
  const complete = !failed && choices.length > 0 && choices.every((choice) => choice.finishReason !== undefined)
  return usage === undefined ? { choices, complete } : { usage, choices, complete }
}

/** The single choice of an event without finish reason, usage or error. */
export function onlyChoice({ choices, usage, error }: JsonObject): JsonObject | undefined {
  const said = (value: JsonValue | undefined) => value !== undefined && value !== null
  if (!Array.isArray(choices) || choices.length !== 1 || said(usage) || said(error)) return undefined
  const choice = (choices as readonly JsonValue[])[0]
  return isObject(choice) && !said(choice.finish_reason) ? choice : undefined
}

/** The field of a delta that only adds text. */
function deltaField(event: JsonObject): string | undefined {
  const delta = onlyChoice(event)?.delta
  if (!isObject(delta)) return undefined
  const [field, ...others] = Object.keys(delta)
  return others.length === 0 && field !== undefined && textFields.includes(field) ? field : undefined
}

const deltas: DeltaRules = {
  textOf(event) {
    const field = deltaField(event)
    const delta = onlyChoice(event)?.delta
    return field === undefined || !isObject(delta) ? undefined : textOf(delta[field])
  },
  withText: (event, text) => ({
    ...event,
    choices: [{ ...onlyChoice(event), delta: { [deltaField(event) ?? '']: text } }],
  }),
}

const questions: QuestionRules = {
  fields: ({ maxTokens, temperature, withoutTools }) => ({
    max_completion_tokens: maxTokens,
    ...(temperature === undefined ? {} : { temperature }),
    ...(withoutTools ? { tool_choice: 'none' } : {}),
    stream: true,
    stream_options: { include_usage: true },
  }),
  textOf(event) {
    const choice = Array.isArray(event.choices) ? (event.choices as readonly JsonValue[])[0] : undefined
    return isObject(choice) && isObject(choice.delta) ? textOf(choice.delta.content) : undefined
  },
}

/** A user turn. After an assistant message with open tool calls, their results, because nothing else may follow. */
function probe(text: string, previous: JsonValue | undefined): readonly JsonValue[] {
  const calls = isObject(previous) && previous.role === 'assistant' ? previous.tool_calls : undefined
  if (!Array.isArray(calls) || calls.length === 0) return [{ role: 'user', content: text }]
  return (calls as readonly JsonValue[])
    .filter(isObject)
    .map((call) => ({ role: 'tool', tool_call_id: textOf(call.id) ?? '', content: text }))
}

function toolCallIds(message: JsonValue): readonly string[] {
  if (!isObject(message)) return []
  const calls = Array.isArray(message.tool_calls) ? (message.tool_calls as readonly JsonValue[]) : []
  const ids = calls.map((call) => (isObject(call) ? (textOf(call.id) ?? '') : ''))
  return isObject(message.function_call) ? [...ids, ''] : ids
}

function toolResultIds(message: JsonValue): readonly string[] {
  if (!isObject(message)) return []
  if (message.role === 'tool') return [textOf(message.tool_call_id) ?? '']
  return message.role === 'function' ? [''] : []
}

function toolCalls(message: JsonValue): readonly ToolCall[] {
  const calls = isObject(message) ? message.tool_calls : undefined
  if (!Array.isArray(calls)) return []
  return (calls as readonly JsonValue[]).flatMap((call) => {
    const fn = isObject(call) ? call.function : undefined
    return isObject(fn) && typeof fn.name === 'string' ? [{ name: fn.name, arguments: fn.arguments }] : []
  })
}

/** The line after a stream's last event; completions use it too. */
export const DONE: readonly Buffer[] = [Buffer.from('\ndata: [DONE]')]

export const chatRules: DialectRules = {
  dialect: 'chat',
  title: 'chat completions',
  path: '/v1/chat/completions',
  plainPaths: {},
  errors: openAiErrors('messages'),
  stored: undefined,
  checkServerState: () => {},
  messagesField: 'messages',
  shapingFields: [
    'tools',
    'tool_choice',
    'functions',
    'function_call',
    'chat_template',
    'chat_template_kwargs',
    'documents',
    'reasoning_effort',
    'include_reasoning',
    'add_special_tokens',
    'mm_processor_kwargs',
    'media_io_kwargs',
  ],
  slightFields: ['tool_choice', 'function_call', 'include_reasoning'],
  vocabulary: {
    partFields: ['content'],
    textParts: ['text', 'refusal'],
    mediaParts: ['image_url', 'image_embeds', 'input_audio', 'audio_url', 'audio_embeds', 'video_url', 'file'],
    calls: [],
    results: [],
    toolFields: ['tools', 'functions'],
  },
  readMessages: readMessageList,
  systemField: undefined,
  systemPartType: 'text',
  newSystem: 'message',
  outerSystem: () => undefined,
  canonical,
  isFromModel,
  probe,
  textMessage,
  isSystem: (message) => isObject(message) && (message.role === 'system' || message.role === 'developer'),
  toolCallIds,
  toolResultIds,
  toolCalls,
  maxTokens: (body) => countOf(body.max_completion_tokens) ?? countOf(body.max_tokens),
  cutReason: 'length',
  renderFields: {},
  toChat: (prompt) => prompt,
  usageOnRequest: true,
  observeJson,
  observeEvents,
  deltas,
  questions,
  terminalLines: DONE,
}
