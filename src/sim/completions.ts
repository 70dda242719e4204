// POST /v1/completions: prompts as text or as token ids. cwm warms sequences with the latter.

import type { JsonObject, JsonValue } from '../base/json.ts'
import { wholeUsage } from './chat-shape.ts'
import type { Prefill } from './engine.ts'
import { EngineError, parameterError } from './errors.ts'
import { FINGERPRINT, newId } from './ids.ts'
import {
  adapterOf,
  booleanField,
  choicesOf,
  numberField,
  objectBody,
  saltOf,
  stopStrings,
  streamOptions,
  tokensAllowed,
} from './request-body.ts'
import { type Answer, type Handler, nowSeconds } from './routes.ts'
import { DONE, dataEvent } from './sse.ts'
import { decodeIds, encodeText, unknownId } from './tokenizer.ts'
import {
  type Core,
  completionTokens,
  promptUtterances,
  repliesTo,
  runSteps,
  runWhole,
  spokenText,
  type Turn,
  turnOf,
} from './turn.ts'

const NO_TOOLS = { names: [], required: false, named: undefined }
/** vLLM's default on this route only. */
const DEFAULT_MAX_TOKENS = 16

export function completionsRoute(core: Core): Handler {
  return async (request): Promise<Answer> => {
    const body = objectBody(request)
    const stream = booleanField(body, 'stream')
    const options = streamOptions(body, stream)
    const turns = completionTurns(core, body)
    const head = {
      id: newId('cmpl'),
      object: 'text_completion',
      created: nowSeconds(),
      model: String(body.model ?? core.settings.model),
    }
    if (stream) return { status: 200, events: completionEvents(core, body, turns, head, options, request.signal) }
    const prefills: Prefill[] = []
    for (const turn of turns) prefills.push(await runWhole(core, turn, request.signal))
    return { status: 200, json: wholeAnswer(core, body, turns, head, prefills) }
  }
}

/** The prompts of a completions body, each as a list of ids. Throws if there is none, or if an id is out of vocabulary. */
export function completionPrompts(body: JsonObject): number[][] {
  const { prompt } = body
  if (prompt === undefined || prompt === null || prompt === '') {
    throw parameterError('prompt', 'Either prompt or prompt_embeds must be provided and non-empty.')
  }
  const list: readonly JsonValue[] = Array.isArray(prompt) ? prompt : [prompt]
  if (list.length === 0) throw new EngineError(400, 'You must pass at least one prompt')
  const prompts = typeof list[0] === 'number' ? [list] : list
  return prompts.map((one) => {
    if (!Array.isArray(one)) return encodeText(String(one))
    const ids = (one as readonly JsonValue[]).map(Number)
    const unknown = unknownId(ids)
    if (unknown !== undefined) throw new EngineError(400, `Token id ${unknown} is out of vocabulary`)
    return ids
  })
}

function completionTurns(core: Core, body: JsonObject): Turn[] {
  const space = { salt: saltOf(body), adapter: adapterOf(body, core.settings) }
  return completionPrompts(body).map((ids) => {
    const asked = numberField(body, 'max_tokens') ?? DEFAULT_MAX_TOKENS
    const maxTokens = tokensAllowed(asked, ids.length, 'max_tokens', core.settings.maxModelLen)
    const replies = repliesTo(core, body, promptUtterances(ids), NO_TOOLS, choicesOf(body))
    return turnOf(ids, space, replies, {
      maxTokens,
      ignoreEos: booleanField(body, 'ignore_eos'),
      stop: stopStrings(body),
    })
  })
}

function wholeAnswer(
  core: Core,
  body: JsonObject,
  turns: readonly Turn[],
  head: object,
  prefills: readonly Prefill[],
): unknown {
  const withIds = booleanField(body, 'return_token_ids')
  const choices = turns.flatMap((turn) => turn.generations.map((generation) => ({ turn, generation })))
  // docs/engine-behavior.md#usage-of-several
  const all: Turn = {
    ids: turns.flatMap((turn) => turn.ids),
    space: { salt: '', adapter: '' },
    generations: choices.map(({ generation }) => generation),
  }
  return {
    ...head,
    choices: choices.map(({ turn, generation }, index) => ({
      index,
      text: (booleanField(body, 'echo') ? decodeIds(turn.ids) : '') + spokenText(generation, 'content'),
      logprobs: null,
      finish_reason: generation.ended === 'length' ? 'length' : 'stop',
      stop_reason: generation.stopReason,
      token_ids: withIds ? generation.ids : null,
      prompt_logprobs: null,
      prompt_token_ids: withIds ? turn.ids : null,
      routed_experts: null,
    })),
    service_tier: null,
    system_fingerprint: FINGERPRINT,
    usage: wholeUsage(core, all, prefills.at(-1) ?? { cached: 0, created: 0 }, null),
    kv_transfer_params: null,
    ec_transfer_params: null,
    metrics: null,
  }
}

async function* completionEvents(
  core: Core,
  body: JsonObject,
  turns: readonly Turn[],
  head: object,
  options: { usage: boolean; continuous: boolean },
  signal: AbortSignal,
): AsyncGenerator<string> {
  const withIds = booleanField(body, 'return_token_ids')
  let cached = 0
  let offset = 0
  for (const turn of turns) {
    const prompt = turn.ids.length
    const begun = new Set<number>()
    for await (const event of runSteps(core, turn, signal)) {
      if (event.kind === 'prefill') {
        cached = event.prefill.cached
        continue
      }
      const generation = turn.generations[event.choice]
      const text = event.step.deltas.map((delta) => (delta.kind === 'content' ? delta.text : '')).join('')
      if (generation === undefined || (text === '' && !event.last)) continue
      const choice = {
        index: offset + event.choice,
        text,
        logprobs: null,
        finish_reason: event.last ? (generation.ended === 'length' ? 'length' : 'stop') : null,
        stop_reason: event.last ? generation.stopReason : null,
        prompt_token_ids: withIds && !begun.has(event.choice) ? turn.ids : null,
        token_ids: withIds ? event.step.ids : null,
      }
      begun.add(event.choice)
      const usage = { prompt_tokens: prompt, total_tokens: prompt + event.tokens, completion_tokens: event.tokens }
      const fingerprint = event.last && !options.usage && { system_fingerprint: FINGERPRINT }
      yield dataEvent({ ...head, choices: [choice], ...(options.continuous && { usage }), ...fingerprint })
    }
    offset += turn.generations.length
  }
  if (options.usage) {
    const prompt = turns.reduce((sum, turn) => sum + turn.ids.length, 0)
    const tokens = turns.reduce((sum, turn) => sum + completionTokens(turn), 0)
    const details = core.settings.promptTokensDetails && { prompt_tokens_details: { cached_tokens: cached } }
    const usage = { prompt_tokens: prompt, total_tokens: prompt + tokens, completion_tokens: tokens, ...details }
    yield dataEvent({ ...head, choices: [], usage, system_fingerprint: FINGERPRINT })
  }
  yield DONE
}
