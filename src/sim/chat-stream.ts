// The event stream of POST /v1/chat/completions.

import type { ChatRequest } from './chat-request.ts'
import { finishReason, type Head } from './chat-shape.ts'
import type { Delta, Prefill, Step } from './engine.ts'
import { FINGERPRINT, newId } from './ids.ts'
import { booleanField } from './request-body.ts'
import { DONE, dataEvent } from './sse.ts'
import { type Core, completionTokens, runSteps } from './turn.ts'

/**
 * The events of the answer. Requested usage has an event of its own before the end, which then is the only one with the fingerprint
 * (docs/engine-behavior.md#stream-fingerprint).
 */
export async function* chatEvents(
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
    // The last event of a choice contains its last delta, or an empty one if a marker ended the choice.
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
