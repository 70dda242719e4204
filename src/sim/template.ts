// The chat template: ChatML, as scripts/engine/make_model.py writes it for the real engine. Like many real templates it renders only the
// last message's reasoning, so a reply's ids change once another turn follows.

import { isObject, type JsonObject, type JsonValue, parseJson } from '../base/json.ts'
import { EngineError } from './errors.ts'
import { pythonJson } from './python-json.ts'
import { encodeParts, IM_END, IM_START, IMAGE, type Part } from './tokenizer.ts'

const IMAGE_TOKENS = 64

export interface TemplateOptions {
  readonly tools?: JsonValue | undefined
  readonly addGenerationPrompt: boolean
  readonly continueFinalMessage?: boolean
  readonly kwargs?: JsonObject | undefined
  /** Written before everything else; '' for none. */
  readonly preamble?: string
  /** Whether the model accepts images. */
  readonly images: boolean
  readonly model: string
}

/** The text of a message's content; vLLM joins parts with line breaks. Throws 400 for images on a text model. */
export function contentParts(content: JsonValue | undefined, options: { images: boolean; model: string }): Part[] {
  if (content === undefined || content === null) return []
  if (!Array.isArray(content)) return [String(content)]
  const parts: Part[] = []
  for (const part of content as readonly JsonValue[]) {
    if (parts.length > 0) parts.push('\n')
    if (typeof part === 'string') parts.push(part)
    else if (isObject(part) && typeof part.text === 'string') parts.push(part.text)
    else if (isObject(part) && typeof part.refusal === 'string') parts.push(part.refusal)
    else if (options.images) parts.push(...Array.from({ length: IMAGE_TOKENS }, () => IMAGE))
    else throw new EngineError(400, `${options.model} is not a multimodal model`)
  }
  return parts
}

/** The ids of a conversation. */
export function renderChat(messages: readonly JsonObject[], options: TemplateOptions): number[] {
  if (messages.length === 0) {
    throw new EngineError(400, 'Cannot apply chat template to an empty conversation. Provide at least one message.')
  }
  const parts: Part[] = []
  if (options.preamble) parts.push(IM_START, `system\n${options.preamble}`, IM_END, '\n')
  if (Array.isArray(options.tools) && options.tools.length > 0) {
    parts.push(IM_START, `system\n# Tools\n${pythonJson(options.tools.map(toolOf))}`, IM_END, '\n')
  }
  // The template depends on `chat_template_kwargs`, so a change to them changes the ids, as with real templates.
  if (options.kwargs && Object.keys(options.kwargs).length > 0) {
    parts.push(IM_START, `system\n${pythonJson(options.kwargs)}`, IM_END, '\n')
  }
  for (const [at, message] of messages.entries()) {
    const last = at === messages.length - 1
    parts.push(IM_START, `${String(message.role)}\n`)
    const reasoning = message.reasoning ?? message.reasoning_content
    if (last && typeof reasoning === 'string' && reasoning !== '') parts.push(`<think>${reasoning}</think>`)
    parts.push(...contentParts(message.content, options))
    for (const call of callsOf(message)) parts.push(callText(call))
    if (!(last && options.continueFinalMessage)) parts.push(IM_END, '\n')
  }
  if (options.addGenerationPrompt) parts.push(IM_START, 'assistant\n')
  return encodeParts(parts)
}

/** A tool call as the template, and therefore the model, writes it. */
export function callText(call: { name: string; arguments: string }): string {
  return `<tool_call>${pythonJson({ arguments: parseJson(call.arguments) ?? call.arguments, name: call.name })}</tool_call>`
}

function callsOf(message: JsonObject): { name: string; arguments: string }[] {
  if (!Array.isArray(message.tool_calls)) return []
  return (message.tool_calls as readonly JsonValue[]).flatMap((call) => {
    const fn = isObject(call) ? call.function : undefined
    if (!isObject(fn)) return []
    const given = fn.arguments
    return [{ name: String(fn.name), arguments: typeof given === 'string' ? given : JSON.stringify(given ?? {}) }]
  })
}

function toolOf(tool: JsonValue): JsonValue {
  if (!isObject(tool) || !isObject(tool.function)) return tool
  const { name, description, parameters } = tool.function
  return {
    type: tool.type ?? 'function',
    function: { name, description: description ?? null, parameters: parameters ?? null },
  }
}
