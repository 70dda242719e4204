// Checks a chat request, renders its prompt and plans its turn. Every dialect is translated to it.

import type { JsonObject } from '../base/json.ts'
import { EngineError, ValidationError } from './errors.ts'
import {
  adapterOf,
  booleanField,
  choicesOf,
  numberField,
  objectList,
  saltOf,
  stopStrings,
  tokensAllowed,
} from './request-body.ts'
import { renderChat } from './template.ts'
import { type ToolOffer, toolOffer } from './tool-offer.ts'
import { type Core, repliesTo, type Turn, turnOf, utterance } from './turn.ts'

/** A checked chat request. */
export interface ChatRequest {
  readonly body: JsonObject
  readonly turn: Turn
  readonly tools: ToolOffer
}

/** Checks a chat request, renders its prompt and plans the replies. `maxField` is the name of the requested limit in errors. */
export function chatTurn(core: Core, body: JsonObject, maxField?: string): ChatRequest {
  const { settings } = core
  const salt = saltOf(body)
  const adapter = adapterOf(body, settings)
  const messages = objectList(body, 'messages')
  requireRoles(messages)
  const dropsTools = settings.excludeToolsWhenNone && body.tool_choice === 'none'
  const ids = chatIds(core, dropsTools ? { ...body, tools: null } : body)
  const tools = toolOffer(body.tools, body.tool_choice)
  const newer = numberField(body, 'max_completion_tokens')
  const field = maxField ?? (newer === undefined ? 'max_tokens' : 'max_completion_tokens')
  const maxTokens = tokensAllowed(newer ?? numberField(body, 'max_tokens'), ids.length, field, settings.maxModelLen)
  const replies = repliesTo(core, body, messages.map(utterance), tools, choicesOf(body))
  const limits = { maxTokens, ignoreEos: booleanField(body, 'ignore_eos'), stop: stopStrings(body) }
  return { body, tools, turn: turnOf(ids, { salt, adapter }, replies, limits) }
}

/** Throws for a message without a role. vLLM lists one validation error per message type; the first one is enough here. */
function requireRoles(messages: readonly JsonObject[]): void {
  const at = messages.findIndex((message) => message.role === undefined)
  if (at < 0) return
  const input = `'<dict of ${Object.keys(messages[at] ?? {}).length} items>'`
  const loc = `body.messages.${at}.ChatCompletionDeveloperMessageParam.role`
  throw new ValidationError([{ type: 'missing', loc, msg: 'Field required', input }])
}

/** The prompt of a chat-like body. */
export function chatIds(core: Core, body: JsonObject): number[] {
  const continues = booleanField(body, 'continue_final_message')
  const addGenerationPrompt = body.add_generation_prompt === undefined || booleanField(body, 'add_generation_prompt')
  if (continues && addGenerationPrompt) {
    throw new EngineError(
      400,
      'continue_final_message and add_generation_prompt are not compatible. Use continue_final_message when you want the model to ' +
        'continue the final message, and add_generation_prompt when you want to add a header that will prompt it to start a new ' +
        'assistant message instead.',
    )
  }
  const kwargs = body.chat_template_kwargs
  return renderChat(objectList(body, 'messages'), {
    tools: body.tools,
    addGenerationPrompt,
    continueFinalMessage: continues,
    kwargs:
      typeof kwargs === 'object' && kwargs !== null && !Array.isArray(kwargs) ? (kwargs as JsonObject) : undefined,
    preamble: core.settings.preamble,
    images: core.settings.images,
    model: core.settings.model,
  })
}
