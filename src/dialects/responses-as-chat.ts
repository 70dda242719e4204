// Converts a /v1/responses prompt to the chat prompt that vLLM itself derives from it, for engines whose render endpoints are off
// (docs/engine-behavior.md#other-dialects-as-chat). Anything without a sure counterpart is rejected, and the freeze compares the resulting
// length with the engine's own count.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import type { ChatPurpose } from './dialect.ts'

/** An assistant message that the following items may extend. */
interface Assistant {
  role: 'assistant'
  content?: string
  reasoning?: string
  tool_calls?: JsonValue[]
}

type Converted = Assistant | JsonObject

const ITEM_FIELDS = ['type', 'id', 'status', 'phase', 'role', 'content']

/**
 * The same prompt in the chat dialect; undefined if an item or field has no sure counterpart (images, custom tools, an unfinished reply, …).
 * Calls have a counterpart for counting only, because their members come in a different order than in chat
 * (docs/engine-behavior.md#other-dialects-as-chat).
 */
export function responsesAsChat({ model, messages, shaping }: Prompt, purpose: ChatPurpose): Prompt | undefined {
  const converted = convertShaping(shaping)
  const { instructions } = shaping
  if (converted === undefined || isUnfinished(messages.at(-1))) return undefined
  if (purpose === 'ids' && messages.some((item) => isObject(item) && item.type === 'function_call')) return undefined
  if (instructions !== undefined && typeof instructions !== 'string') return undefined
  const chat: Converted[] = instructions ? [{ role: 'system', content: instructions }] : []
  for (const item of messages) if (!addItem(chat, item)) return undefined
  return { dialect: 'chat', model, messages: chat as readonly JsonValue[], shaping: converted }
}

/** vLLM continues such a message instead of starting a new one. */
function isUnfinished(item: JsonValue | undefined): boolean {
  return isObject(item) && (item.status === 'in_progress' || item.status === 'incomplete')
}

/** False for an item without a counterpart. */
function addItem(chat: Converted[], item: JsonValue): boolean {
  if (!isObject(item)) return false
  switch (item.type ?? 'message') {
    case 'message':
      return item.role === 'assistant' ? addReply(chat, item) : addMessage(chat, item)
    case 'reasoning':
      return addReasoning(chat, item)
    case 'function_call':
      return addCall(chat, item)
    case 'function_call_output':
      return addResult(chat, item)
    default:
      return false
  }
}

function addMessage(chat: Converted[], item: JsonObject): boolean {
  const { role, content } = item
  if (role !== 'user' && role !== 'system' && role !== 'developer') return false
  if (Object.keys(item).some((field) => !ITEM_FIELDS.includes(field))) return false
  const texts = textsOf(content, 'input_text')
  if (texts === undefined) return false
  chat.push({
    role,
    content: typeof content === 'string' ? content : texts.map((text) => ({ type: 'text', text })),
  })
  return true
}

/** vLLM uses only the first part of a reply. It reads a list specially if the item has no `type: message`. */
function addReply(chat: Converted[], item: JsonObject): boolean {
  const texts = textsOf(item.content, 'output_text')
  const content = texts?.[0]
  if (content === undefined || (item.type === undefined && typeof item.content !== 'string')) return false
  const before = assistantAtEnd(chat)
  if (before !== undefined && before.content === undefined) before.content = content
  else chat.push({ role: 'assistant', content })
  return true
}

function addReasoning(chat: Converted[], { content, summary, encrypted_content: encrypted }: JsonObject): boolean {
  const thoughts = content === undefined || content === null ? [] : textsOf(content, 'reasoning_text')
  const gist = textsOf(summary, 'summary_text')
  if (encrypted || thoughts === undefined || gist === undefined) return false
  const reasoning = thoughts[0] ?? gist[0] ?? ''
  const before = assistantAtEnd(chat)
  if (before !== undefined && before.reasoning === undefined) before.reasoning = reasoning
  else chat.push({ role: 'assistant', reasoning })
  return true
}

function addCall(chat: Converted[], { call_id: id, name, namespace, arguments: args }: JsonObject): boolean {
  if (typeof id !== 'string' || typeof name !== 'string' || typeof args !== 'string') return false
  if (namespace !== undefined && namespace !== null) return false
  const call = { id, type: 'function', function: { name, arguments: args } }
  const before = assistantAtEnd(chat)
  if (before === undefined) chat.push({ role: 'assistant', tool_calls: [call] })
  else before.tool_calls = [...(before.tool_calls ?? []), call]
  return true
}

function addResult(chat: Converted[], { call_id: id, output }: JsonObject): boolean {
  const texts = textsOf(output, 'input_text')
  if (typeof id !== 'string' || texts === undefined) return false
  const content = typeof output === 'string' ? output : texts.map((text) => ({ type: 'text', text }))
  chat.push({ role: 'tool', tool_call_id: id, content })
  return true
}

function assistantAtEnd(chat: readonly Converted[]): Assistant | undefined {
  const last = chat.at(-1)
  return last?.role === 'assistant' ? (last as Assistant) : undefined
}

/** The texts of a string or of parts of one kind; undefined if there is any other part. */
function textsOf(content: JsonValue | undefined, kind: string): readonly string[] | undefined {
  if (typeof content === 'string') return [content]
  if (!Array.isArray(content)) return undefined
  const texts: string[] = []
  for (const part of content as readonly JsonValue[]) {
    if (!isObject(part) || part.type !== kind || typeof part.text !== 'string') return undefined
    texts.push(part.text)
  }
  return texts
}

/** `text` (the answer's required format) and the tool choice do not affect the prompt. */
function convertShaping(shaping: JsonObject): JsonObject | undefined {
  const { instructions: _, text: __, tool_choice: ___, tools, reasoning, chat_template_kwargs, ...rest } = shaping
  if (Object.keys(rest).length > 0) return undefined
  const out: Record<string, JsonValue> = {}
  if (chat_template_kwargs !== undefined) out.chat_template_kwargs = chat_template_kwargs
  if (isObject(reasoning) && typeof reasoning.effort === 'string') out.reasoning_effort = reasoning.effort
  if (tools === undefined) return out
  if (!Array.isArray(tools)) return undefined
  const converted: JsonValue[] = []
  for (const tool of tools as readonly JsonValue[]) {
    if (!isObject(tool) || tool.type !== 'function' || typeof tool.name !== 'string') return undefined
    const { name, description = null, parameters = null, strict = null, defer_loading = null } = tool
    converted.push({ type: 'function', function: { name, description, parameters, strict, defer_loading } })
  }
  return { ...out, tools: converted }
}
