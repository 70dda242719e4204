// POST /v1/responses: how its input items are identified and its answers read.

import { CwmError } from '../base/errors.ts'
import { isObject, isPresent, type JsonObject, type JsonValue } from '../base/json.ts'
import { type ArgumentsBudget, frame, stableArguments, stableJson, stableJsonWithout } from './canonical-json.ts'
import { canonicalContent } from './chat.ts'
import type {
  CanonicalMessage,
  DialectRules,
  ErrorShape,
  Observation,
  QuestionRules,
  StoredAnswers,
  ToolCall,
} from './dialect.ts'
import { openAiErrors, wireCode } from './errors.ts'
import { countOf, isTruthy, serverStateError, textMessage, textOf } from './fields.ts'
import { readOpenAiUsage, responsesUsage } from './openai-usage.ts'
import { responsesAsChat } from './responses-as-chat.ts'

/** Items besides calls that an engine with built-in MCP adds to its answers. */
const ENGINE_ITEMS = ['mcp_list_tools', 'mcp_approval_request']
/** Calls whose results must follow; other calls (`web_search_call`, `mcp_call`) contain theirs. */
const OPEN_CALLS = ['function_call', 'custom_tool_call']

const TEXT_TYPES = ['input_text', 'output_text', 'text']

/**
 * Kept: role and text of messages (refusals count as text), call id, name and arguments of calls, call id and output of results.
 * Dropped: reasoning items, and `id`, `status`, `phase`, annotations and nulls everywhere.
 */
function canonical(item: JsonValue, budget?: ArgumentsBudget): CanonicalMessage {
  return { text: canonicalText(item, budget), fromModel: isFromModel(item) }
}

function canonicalText(item: JsonValue, budget: ArgumentsBudget | undefined): string | undefined {
  if (!isObject(item)) return frame('j', stableJson(item))
  const type = textOf(item.type) ?? 'message'
  const call = frame('i', textOf(item.call_id) ?? '')
  switch (type) {
    case 'message': {
      const role = textOf(item.role) ?? ''
      return frame('r', role) + canonicalContent(item.content, TEXT_TYPES)
    }
    case 'function_call': {
      const text = call + frame('n', textOf(item.name) ?? '') + frame('a', stableArguments(item.arguments, budget))
      return frame('c', text)
    }
    case 'function_call_output':
      return frame('o', call + canonicalContent(item.output, TEXT_TYPES))
    case 'reasoning':
      return undefined
    case 'item_reference':
      // The id is its only content.
      return frame('x', textOf(item.id) ?? '')
    default:
      return frame('p', stableJsonWithout(item, ['id', 'status']))
  }
}

function isFromModel(item: JsonValue): boolean {
  if (!isObject(item)) return false
  const type = textOf(item.type) ?? 'message'
  if (type === 'message') return item.role === 'assistant'
  return type === 'reasoning' || type.endsWith('_call') || ENGINE_ITEMS.includes(type)
}

function observeJson(body: JsonObject): Observation {
  const usage = readOpenAiUsage(body.usage, responsesUsage)
  const responseId = textOf(body.id)
  const status = textOf(body.status)
  const messages = Array.isArray(body.output) ? (body.output as readonly JsonValue[]) : []
  const incomplete = isObject(body.incomplete_details) ? textOf(body.incomplete_details.reason) : undefined
  const finishReason = incomplete ?? status
  const choices = [finishReason === undefined ? { messages } : { messages, finishReason }]
  // By status, because a whole turn may have no items: docs/engine-behavior.md#empty-responses.
  const complete = status === 'completed' || status === 'incomplete'
  return {
    choices,
    complete,
    ...(usage === undefined ? {} : { usage }),
    ...(responseId === undefined ? {} : { responseId }),
  }
}

/** The last event of a complete stream repeats the whole response. */
function observeEvents(events: readonly JsonObject[]): Observation {
  const last = events.findLast((event) => event.type === 'response.completed' || event.type === 'response.incomplete')
  if (last === undefined || !isObject(last.response)) return { choices: [], complete: false }
  return observeJson(last.response)
}

function readMessages(body: JsonObject): readonly JsonValue[] {
  const input = body.input
  if (typeof input === 'string') return [{ role: 'user', content: input }]
  if (!Array.isArray(input)) {
    throw new CwmError('INVALID_FIELD', '`input` must be a string or an array of items', { param: 'input' })
  }
  return input
}

function probe(text: string, previous: JsonValue | undefined): readonly JsonValue[] {
  if (isObject(previous) && previous.type === 'function_call') {
    return [{ type: 'function_call_output', call_id: textOf(previous.call_id) ?? '', output: text }]
  }
  return [{ role: 'user', content: text }]
}

/** The content behind a reference is unknown: it may be a call or a result. */
function toolCallIds(item: JsonValue): readonly string[] {
  if (!isObject(item)) return []
  const type = textOf(item.type) ?? 'message'
  if (type === 'item_reference') return ['']
  if (type === 'mcp_approval_request') return [textOf(item.id) ?? '']
  if (!type.endsWith('_call')) return []
  const id = textOf(item.call_id)
  return id === undefined && !OPEN_CALLS.includes(type) ? [] : [id ?? '']
}

function toolResultIds(item: JsonValue): readonly string[] {
  if (!isObject(item)) return []
  const type = textOf(item.type) ?? 'message'
  if (type === 'item_reference') return ['']
  if (type === 'mcp_approval_response') return [textOf(item.approval_request_id) ?? '']
  return type.endsWith('_output') ? [textOf(item.call_id) ?? ''] : []
}

function toolCalls(item: JsonValue): readonly ToolCall[] {
  if (!isObject(item) || item.type !== 'function_call' || typeof item.name !== 'string') return []
  return [{ name: item.name, arguments: item.arguments }]
}

/**
 * `previous_response_id` is resolved by cwm, so it is not rejected here. A background response outlives its request: it could not be stopped
 * with its session, and would still store KV under a salt that a deletion has certified as empty.
 */
function checkServerState({ background, conversation, input }: JsonObject): void {
  if (isTruthy(background)) {
    throw new CwmError('NOT_SUPPORTED', '`background` is not supported: a response must end with its request', {
      param: 'background',
    })
  }
  if (isPresent(conversation)) throw serverStateError('conversation', 'input')
  const items = Array.isArray(input) ? (input as readonly JsonValue[]) : []
  if (items.some((item) => isObject(item) && item.type === 'item_reference')) {
    throw new CwmError(
      'NOT_SUPPORTED',
      'items by reference (`item_reference`) are not supported; send the items themselves (with the AI SDK: `providerOptions.openai.store: false`)',
      { param: 'input' },
    )
  }
}

const stored: StoredAnswers = {
  continued({ previous_response_id: id }) {
    if (!isPresent(id)) return undefined
    if (typeof id === 'string') return id
    throw new CwmError('INVALID_FIELD', '`previous_response_id` must be a string', { param: 'previous_response_id' })
  },
  // An id chosen by the client could be another tenant's.
  keeps: ({ store, request_id: id }) => store !== false && !isPresent(id),
}

const errors: ErrorShape = {
  ...openAiErrors('input'),
  event: (error) =>
    `event: error\ndata: ${JSON.stringify({
      type: 'error',
      code: wireCode(error),
      message: error.clientMessage,
      param: null,
    })}\n\n`,
}

const questions: QuestionRules = {
  fields: ({ maxTokens, temperature, withoutTools }) => ({
    max_output_tokens: maxTokens,
    ...(temperature === undefined ? {} : { temperature }),
    ...(withoutTools ? { tool_choice: 'none' } : {}),
    stream: true,
    // The engine would keep the answer's text, and nobody could delete it there.
    store: false,
  }),
  textOf: ({ type, delta }) => (type === 'response.output_text.delta' ? textOf(delta) : undefined),
}

export const responsesRules: DialectRules = {
  dialect: 'responses',
  title: 'responses',
  path: '/v1/responses',
  plainPaths: {},
  errors,
  stored,
  checkServerState,
  messagesField: 'input',
  shapingFields: ['instructions', 'tools', 'tool_choice', 'reasoning', 'chat_template_kwargs', 'text'],
  slightFields: ['tool_choice', 'text'],
  vocabulary: {
    partFields: ['content', 'output'],
    textParts: ['input_text', 'output_text', 'refusal', 'reasoning_text', 'summary_text'],
    mediaParts: ['input_image', 'input_audio', 'input_file'],
    calls: ['function_call', 'custom_tool_call'],
    results: ['function_call_output', 'custom_tool_call_output'],
    toolFields: ['tools'],
  },
  readMessages,
  systemField: 'instructions',
  systemPartType: 'input_text',
  // There are system messages too, and `instructions` belong to the client.
  newSystem: 'message',
  outerSystem: (body) => {
    const instructions = body.instructions
    return typeof instructions === 'string' ? { role: 'system', content: instructions } : undefined
  },
  canonical,
  isFromModel,
  probe,
  textMessage,
  isSystem: (item) => isObject(item) && (item.role === 'system' || item.role === 'developer'),
  toolCallIds,
  toolResultIds,
  toolCalls,
  maxTokens: (body) => countOf(body.max_output_tokens),
  cutReason: 'max_output_tokens',
  renderFields: {},
  toChat: responsesAsChat,
  usageOnRequest: false,
  observeJson,
  observeEvents,
  // Each event has its own sequence number.
  deltas: undefined,
  questions,
  terminalLines: [Buffer.from('\nevent: response.completed'), Buffer.from('\nevent: response.incomplete')],
}
