// Gets the ids and the size of a prompt from one of vLLM's endpoints that can express it: render, or `/tokenize`.

import { CwmError } from '../../base/errors.ts'
import { isObject, type JsonObject, type JsonValue } from '../../base/json.ts'
import type { Prompt } from '../../base/records.ts'
import type { ChatPurpose } from '../../dialects/dialect.ts'
import { rulesOf } from '../../dialects/index.ts'
import type { CallOptions, Engine, JsonAnswer, SpecialTokens } from '../engine.ts'
import { callJson, rejectionOf, type Sender } from '../json.ts'

/** Body fields that `/tokenize` accepts besides the messages: docs/engine-behavior.md#tokenize. */
const TOKENIZE_FIELDS = [
  'tools',
  'chat_template',
  'add_special_tokens',
  'mm_processor_kwargs',
  'media_io_kwargs',
] as const

/** Fields that chat completions pass to the template as arguments: docs/engine-behavior.md#tokenize. */
const TEMPLATE_FIELDS = ['chat_template_kwargs', 'documents', 'reasoning_effort'] as const

/**
 * Fields that do not change the prompt by default. With `--exclude-tools-when-tool-choice-none`, a `tool_choice` of "none" does. The number
 * of ids then differs from the turn's own prompt, and the freeze checks that number.
 */
const FIELDS_WITHOUT_EFFECT = ['tool_choice', 'function_call', 'include_reasoning'] as const

/** Statuses for a disabled (403) or missing endpoint. */
const UNAVAILABLE_STATUSES = [403, 404, 405, 501]
/** How long to wait before asking an engine without render endpoints again. It may be restarted with them. */
const RENDER_OFF_MS = 60_000
const TOKENIZE_DEADLINE_MS = 60_000

export class VllmPrompts implements Pick<Engine, 'tokenIds' | 'countTokens' | 'countText'> {
  readonly #upstream: Sender
  /**
   * Until this time the engine is assumed to have no render endpoints (docs/engine-behavior.md#render-endpoints). Milliseconds since the
   * epoch.
   */
  #renderOffUntil = 0

  constructor(upstream: Sender) {
    this.#upstream = upstream
  }

  async tokenIds(prompt: Prompt, options: CallOptions): Promise<Uint32Array | undefined> {
    return await this.#idsOf(prompt, options, 'ids')
  }

  /** Without render endpoints, each tool call in a /v1/responses prompt may count one token more or less: see responses-as-chat.ts. */
  async countTokens(prompt: Prompt, options: CallOptions): Promise<number | undefined> {
    // Tried first: render endpoints reject prompts over the limit, which is when the number matters.
    const chat = rulesOf(prompt.dialect).toChat(prompt, 'ids')
    const counted = chat === undefined ? undefined : await this.#tokenize(chat, options)
    return (counted ?? (await this.#idsOf(prompt, options, 'count')))?.length
  }

  /** Undefined if the engine has no `/tokenize`. */
  async countText(
    model: string,
    prompt: string,
    options: CallOptions,
    special: SpecialTokens = 'with marks',
  ): Promise<number | undefined> {
    return (await this.#askIds({ model, prompt, add_special_tokens: special === 'with marks' }, options))?.length
  }

  async #idsOf(prompt: Prompt, options: CallOptions, purpose: ChatPurpose): Promise<Uint32Array | undefined> {
    const rendered = Date.now() >= this.#renderOffUntil ? await this.#render(prompt, options) : undefined
    if (rendered !== undefined) return rendered
    const chat = rulesOf(prompt.dialect).toChat(prompt, purpose)
    return chat === undefined ? undefined : await this.#tokenize(chat, options)
  }

  async #render(prompt: Prompt, options: CallOptions): Promise<Uint32Array | undefined> {
    const { path: dialectPath, messagesField, renderFields } = rulesOf(prompt.dialect)
    if (messagesField === undefined || renderFields === undefined) return undefined
    const path = `${dialectPath}/render`
    const body = { ...prompt.shaping, model: prompt.model, [messagesField]: prompt.messages, ...renderFields }
    const answer = await this.#post(path, JSON.stringify(body), TOKENIZE_DEADLINE_MS, options)
    if (UNAVAILABLE_STATUSES.includes(answer.status)) {
      if (saysRenderIsOff(answer)) this.#renderOffUntil = Date.now() + RENDER_OFF_MS
      return undefined
    }
    if (answer.status !== 200) throw rejectionOf(path, answer)
    return readIds(answer.body.token_ids, path)
  }

  async #tokenize(prompt: Prompt, options: CallOptions): Promise<Uint32Array | undefined> {
    const known: readonly string[] = [...TOKENIZE_FIELDS, ...TEMPLATE_FIELDS, ...FIELDS_WITHOUT_EFFECT]
    if (Object.keys(prompt.shaping).some((field) => !known.includes(field))) return undefined
    const body: Record<string, JsonValue | undefined> = {
      model: prompt.model,
      messages: prompt.messages,
      add_generation_prompt: true,
      chat_template_kwargs: templateArguments(prompt.shaping),
    }
    for (const field of TOKENIZE_FIELDS) if (prompt.shaping[field] !== undefined) body[field] = prompt.shaping[field]
    return await this.#askIds(body, options)
  }

  async #askIds(
    body: Readonly<Record<string, JsonValue | undefined>>,
    options: CallOptions,
  ): Promise<Uint32Array | undefined> {
    const answer = await this.#post('/tokenize', JSON.stringify(body), TOKENIZE_DEADLINE_MS, options)
    if (answer.status === 404 || answer.status === 405) return undefined
    if (answer.status !== 200) throw rejectionOf('/tokenize', answer)
    return readIds(answer.body.tokens, '/tokenize')
  }

  #post(path: string, body: string, deadlineMs: number, options: CallOptions): Promise<JsonAnswer> {
    return callJson(this.#upstream, { method: 'POST', path, body, deadlineMs, ...options })
  }
}

/**
 * Whether the answer shows that the engine has no render endpoints: FastAPI's own 404 or 405, or vLLM's message about scale-out. A rejected
 * key or an unknown model does not show that.
 */
function saysRenderIsOff({ status, body }: JsonAnswer): boolean {
  const words = isObject(body.error) && typeof body.error.message === 'string' ? body.error.message : undefined
  return status === 403 ? words?.includes('Scale-out') === true : words === undefined
}

/** The template's arguments, combined as chat completions combine them. */
function templateArguments({ chat_template_kwargs, documents, reasoning_effort }: JsonObject): JsonObject | undefined {
  const given = isObject(chat_template_kwargs) ? chat_template_kwargs : {}
  const args: Record<string, JsonValue | undefined> = { ...given }
  if (documents !== undefined) args.documents = documents
  if (reasoning_effort !== undefined) {
    args.reasoning_effort = reasoning_effort
    args.enable_thinking ??= reasoning_effort !== 'none'
  }
  return Object.keys(args).length === 0 ? undefined : args
}

function readIds(value: JsonValue | undefined, path: string): Uint32Array {
  const ids: unknown = value
  if (!Array.isArray(ids) || !ids.every((id) => typeof id === 'number' && Number.isInteger(id) && id >= 0)) {
    throw new CwmError('UPSTREAM_REJECTED', `${path} of the upstream returned no token ids`)
  }
  return Uint32Array.from(ids as number[])
}
