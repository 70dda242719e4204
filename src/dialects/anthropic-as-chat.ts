// Converts an Anthropic prompt to the chat prompt that vLLM itself derives from it, for engines whose render endpoints are off
// (docs/engine-behavior.md#other-dialects-as-chat). It rejects anything without a sure counterpart, and the freeze compares the resulting
// length with the engine's own count.

import { isObject, type JsonObject, type JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import { BILLING_HEADER } from './fields.ts'

/** The same prompt in the chat dialect; undefined if a block or field has no sure counterpart (images, inline system prompts, …). */
export function anthropicAsChat(prompt: Prompt): Prompt | undefined {
  const shaping = convertShaping(prompt.shaping)
  const system = convertSystem(prompt.shaping.system)
  if (shaping === undefined || system === undefined) return undefined
  const messages: JsonValue[] = [...system]
  for (const message of prompt.messages) {
    const converted = convertMessage(message)
    if (converted === undefined) return undefined
    messages.push(...converted)
  }
  return { dialect: 'chat', model: prompt.model, messages, shaping }
}

function convertSystem(system: JsonValue | undefined): readonly JsonValue[] | undefined {
  if (system === undefined || system === null) return []
  if (typeof system === 'string') return system === '' ? [] : [{ role: 'system', content: system }]
  if (!Array.isArray(system)) return undefined
  const texts: string[] = []
  for (const block of system as readonly JsonValue[]) {
    if (!isObject(block) || block.type !== 'text' || typeof block.text !== 'string') return undefined
    if (!block.text.startsWith(BILLING_HEADER)) texts.push(block.text)
  }
  const content = texts.join('')
  return content === '' ? [] : [{ role: 'system', content }]
}

function convertMessage(message: JsonValue): readonly JsonValue[] | undefined {
  if (!isObject(message) || (message.role !== 'user' && message.role !== 'assistant')) return undefined
  const { role, content } = message
  if (typeof content === 'string') return [{ role, content }]
  if (!Array.isArray(content)) return undefined
  const texts: string[] = []
  const calls: JsonValue[] = []
  const results: JsonValue[] = []
  let reasoning = ''
  for (const block of content as readonly JsonValue[]) {
    if (!isObject(block)) return undefined
    if (block.type === 'text' && typeof block.text === 'string') {
      if (block.text !== '') texts.push(block.text)
    } else if (block.type === 'thinking' && typeof block.thinking === 'string') reasoning += block.thinking
    else if (block.type === 'tool_use') calls.push(convertCall(block))
    else if (block.type === 'tool_result' && role === 'user') {
      const result = convertResult(block)
      if (result === undefined) return undefined
      results.push(result)
    } else if (block.type !== 'redacted_thinking') return undefined
  }
  const own = {
    role,
    ...(reasoning === '' ? {} : { reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
    ...contentOf(texts),
  }
  // A user message that contained only results consists of these alone.
  return role === 'user' && texts.length === 0 ? results : [...results, own]
}

function contentOf(texts: readonly string[]): JsonObject {
  if (texts.length === 0) return {}
  if (texts.length === 1) return { content: texts[0] }
  return { content: texts.map((text) => ({ type: 'text', text })) }
}

function convertCall(block: JsonObject): JsonValue {
  const name = typeof block.name === 'string' ? block.name : ''
  const id = typeof block.id === 'string' ? block.id : ''
  return { id, type: 'function', function: { name, arguments: pythonJson(block.input ?? {}) } }
}

function convertResult(block: JsonObject): JsonValue | undefined {
  const id = typeof block.tool_use_id === 'string' ? block.tool_use_id : ''
  if (block.content === undefined || typeof block.content === 'string') {
    return { role: 'tool', tool_call_id: id, content: block.content ?? '' }
  }
  if (!Array.isArray(block.content)) return undefined
  const texts: string[] = []
  for (const part of block.content as readonly JsonValue[]) {
    if (!isObject(part) || part.type !== 'text' || typeof part.text !== 'string') return undefined
    texts.push(part.text)
  }
  return { role: 'tool', tool_call_id: id, content: texts.join('\n') }
}

function convertShaping(shaping: JsonObject): JsonObject | undefined {
  const { system: _, tools, tool_choice: __, thinking, output_config, chat_template_kwargs, ...rest } = shaping
  if (Object.keys(rest).length > 0) return undefined
  const out: Record<string, JsonValue> = {}
  if (chat_template_kwargs !== undefined) out.chat_template_kwargs = chat_template_kwargs
  if (isObject(thinking) && thinking.type === 'disabled') out.reasoning_effort = 'none'
  if (isObject(output_config) && typeof output_config.effort === 'string') out.reasoning_effort = output_config.effort
  if (tools !== undefined) {
    if (!Array.isArray(tools)) return undefined
    const converted: JsonValue[] = []
    for (const tool of tools as readonly JsonValue[]) {
      if (!isObject(tool) || typeof tool.name !== 'string' || !isObject(tool.input_schema)) return undefined
      const { name, description = null, input_schema, strict = null, defer_loading = null } = tool
      const parameters = input_schema.type === undefined ? { ...input_schema, type: 'object' } : input_schema
      converted.push({ type: 'function', function: { name, description, parameters, strict, defer_loading } })
    }
    out.tools = converted
  }
  return out
}

/** JSON as Python's `json.dumps` writes it: a space after each comma and colon, ASCII only. */
function pythonJson(value: JsonValue | undefined): string {
  if (Array.isArray(value)) return `[${value.map((item: JsonValue) => pythonJson(item)).join(', ')}]`
  if (isObject(value)) {
    const members = Object.entries(value).map(([key, member]) => `${pythonJson(key)}: ${pythonJson(member)}`)
    return `{${members.join(', ')}}`
  }
  const text = JSON.stringify(value ?? null)
  return text.replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
