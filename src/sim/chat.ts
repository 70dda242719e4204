// POST /v1/chat/completions, whole and streamed, in the shapes recorded from vLLM 0.32.

import type { JsonObject } from '../base/json.ts'
import type { Delta, Generation, Prefill, Step } from './engine.ts'
import { EngineError, ValidationError } from './errors.ts'
import { FINGERPRINT, newId } from './ids.ts'
import {
  adapterOf,
  booleanField,
  choicesOf,
  numberField,
  objectBody,
  objectList,
  requireFields,
  saltOf,
  stopStrings,
  streamOptions,
  tokensAllowed,
} from './request-body.ts'
import { type Answer, type Handler, nowSeconds } from './routes.ts'
import { DONE, dataEvent } from './sse.ts'
import { renderChat } from './template.ts'
import { type ToolOffer, toolOffer } from './tool-offer.ts'
import {
  type Core,
  callsIn,
  completionTokens,
  repliesTo,
  runSteps,
  runWhole,
  said,
  type Turn,
  turnOf,
  utterance,
} from './turn.ts'

/** A checked chat request. */
export interface ChatRequest {
  readonly body: JsonObject
  readonly turn: Turn
  readonly tools: ToolOffer
}

/** Checks a chat request, renders its prompt and plans the replies. `maxField` is what an error calls the limit asked for. */
export function chatTurn(core: Core, body: JsonObject, maxField?: string): ChatRequest {
  const { settings } = core
  const salt = saltOf(body)
  const adapter = adapterOf(body, settings)
  const messages = objectList(body, 'messages')
  requireRoles(messages)
  const ids = chatIds(core, body)
  const tools = toolOffer(body.tools, body.tool_choice)
  const newer = numberField(body, 'max_completion_tokens')
  const field = maxField ?? (newer === undefined ? 'max_tokens' : 'max_completion_tokens')
  const maxTokens = tokensAllowed(newer ?? numberField(body, 'max_tokens'), ids.length, field, settings.maxModelLen)
  const replies = repliesTo(core, body, messages.map(utterance), tools, choicesOf(body))
  const limits = { maxTokens, ignoreEos: booleanField(body, 'ignore_eos'), stop: stopStrings(body) }
  return { body, tools, turn: turnOf(ids, { salt, adapter }, replies, limits) }
}

/** Throws for a message without a role; vLLM adds a complaint for each kind of message it might have been. */
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
    images: core.settings.images,
    model: core.settings.model,
  })
}

export function chatRoute(core: Core): Handler {
  return async (request): Promise<Answer> => {
    const body = objectBody(request)
    requireFields(body, ['messages'])
    const stream = booleanField(body, 'stream')
    const options = streamOptions(body, stream)
    const chat = chatTurn(core, body)
    const head = { id: newId('chatcmpl'), created: nowSeconds(), model: String(body.model ?? core.settings.model) }
    if (stream) return { status: 200, events: chatEvents(core, chat, head, options, request.signal) }
    const prefill = await runWhole(core, chat.turn, request.signal)
    return { status: 200, json: wholeAnswer(core, chat, head, prefill) }
  }
}

interface Head {
  readonly id: string
  readonly created: number
  readonly model: string
}

function finishReason(generation: Generation, tools: ToolOffer): string {
  if (generation.ended === 'length') return 'length'
  // vLLM calls it `stop` when one certain tool was demanded (recorded).
  return callsIn(generation).length > 0 && tools.named === undefined ? 'tool_calls' : 'stop'
}

function wholeAnswer(core: Core, { body, turn, tools }: ChatRequest, head: Head, prefill: Prefill): unknown {
  const withIds = booleanField(body, 'return_token_ids')
  const choices = turn.generations.map((generation, index) => {
    const calls = callsIn(generation)
    const content = said(generation, 'content')
    return {
      index,
      message: {
        role: 'assistant',
        content: calls.length > 0 && content === '' ? (tools.required || tools.named ? '' : null) : content,
        refusal: null,
        annotations: null,
        audio: null,
        function_call: null,
        ...(calls.length > 0 && {
          tool_calls: calls.map((call) => ({ id: newId('chatcmpl-tool'), type: 'function', function: call })),
        }),
        reasoning: said(generation, 'reasoning') || null,
      },
      logprobs: null,
      finish_reason: finishReason(generation, tools),
      stop_reason: generation.stopReason,
      token_ids: withIds ? generation.ids : null,
      routed_experts: null,
    }
  })
  return {
    id: head.id,
    object: 'chat.completion',
    created: head.created,
    model: head.model,
    choices,
    service_tier: null,
    system_fingerprint: FINGERPRINT,
    usage: wholeUsage(core, turn, prefill, prefill.created),
    prompt_logprobs: null,
    prompt_token_ids: withIds ? turn.ids : null,
    prompt_text: null,
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  }
}

/** `usage` of a whole answer; chat tells what was newly cached, completions do not. */
export function wholeUsage(core: Core, turn: Turn, prefill: Prefill, created: number | null): unknown {
  const details = { cached_tokens: prefill.cached, created_cache_tokens: created, multimodal_tokens: null }
  return {
    prompt_tokens: turn.ids.length,
    total_tokens: turn.ids.length + completionTokens(turn),
    completion_tokens: completionTokens(turn),
    prompt_tokens_details: core.settings.promptTokensDetails ? details : null,
    completion_tokens_details: null,
  }
}

async function* chatEvents(
  core: Core,
  { body, turn, tools }: ChatRequest,
  head: Head,
  options: { usage: boolean; continuous: boolean },
  signal: AbortSignal,
): AsyncGenerator<string> {
  const withIds = booleanField(body, 'return_token_ids')
  const base = { id: head.id, object: 'chat.completion.chunk', created: head.created, model: head.model }
  const fingerprint = options.usage ? {} : { system_fingerprint: FINGERPRINT }
  const prompt = turn.ids.length
  const usage = (tokens: number): object =>
    options.continuous
      ? {
          usage: {
            prompt_tokens: prompt,
            total_tokens: prompt + tokens,
            completion_tokens: tokens,
            completion_tokens_details: null,
          },
        }
      : {}
  let prefill: Prefill = { cached: 0, created: 0 }
  for await (const event of runSteps(core, turn, signal)) {
    if (event.kind === 'prefill') {
      prefill = event.prefill
      for (const index of turn.generations.keys()) {
        const delta = { role: 'assistant', content: '' }
        const choices = [{ index, delta, logprobs: null, finish_reason: null }]
        yield dataEvent({
          ...base,
          choices,
          ...usage(0),
          prompt_token_ids: withIds ? turn.ids : null,
          prompt_text: null,
        })
      }
      continue
    }
    const generation = turn.generations[event.choice]
    if (generation === undefined) continue
    const deltas = deltaBodies(event.step)
    // The event that ends a choice carries its last delta, or an empty one where a marker ended it.
    if (event.last && deltas.length === 0) deltas.push({})
    for (const [at, delta] of deltas.entries()) {
      const ends = event.last && at === deltas.length - 1
      const choice = {
        index: event.choice,
        delta,
        logprobs: null,
        finish_reason: ends ? finishReason(generation, tools) : null,
        ...(ends && { stop_reason: generation.stopReason }),
        token_ids: withIds ? event.step.ids : null,
      }
      yield dataEvent({ ...base, choices: [choice], ...usage(event.tokens), ...(ends && fingerprint) })
    }
  }
  if (options.usage) {
    const tokens = completionTokens(turn)
    const details = { cached_tokens: prefill.cached, created_cache_tokens: prefill.created }
    const total = { prompt_tokens: prompt, total_tokens: prompt + tokens, completion_tokens: tokens }
    const last = { ...total, ...(core.settings.promptTokensDetails && { prompt_tokens_details: details }) }
    yield dataEvent({ ...base, choices: [], usage: last, system_fingerprint: FINGERPRINT })
  }
  yield DONE
}

function deltaBodies(step: Step): object[] {
  return step.deltas.map(deltaBody)
}

function deltaBody(delta: Delta): object {
  switch (delta.kind) {
    case 'content':
      return { content: delta.text }
    case 'reasoning':
      return { reasoning: delta.text }
    case 'call': {
      const call = { id: newId('chatcmpl-tool'), type: 'function', index: delta.index, function: { name: delta.name } }
      return { content: null, tool_calls: [call] }
    }
    case 'arguments':
      return { content: null, tool_calls: [{ index: delta.index, function: { arguments: delta.text } }] }
  }
}
