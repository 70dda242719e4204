// The calls of one reduction: to one engine, under one lineage, each in its own slot.

import type { Admission } from '../admission/admission.ts'
import { CwmError, isFinalRefusal, toCwmError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import type { Prompt, Usage } from '../base/records.ts'
import { recorded, type UsageSink } from '../base/usage-sink.ts'
import { rulesOf } from '../dialects/index.ts'
import { openAiRateHeaders } from '../dialects/rate-headers.ts'
import { replyText } from '../dialects/reply-text.ts'
import type { Engine, EngineModel } from '../engines/engine.ts'
import { streamAnswer } from '../engines/stream-answer.ts'
import { estimatedTokens } from '../limits/estimated-tokens.ts'
import { outputReserve } from '../limits/output-reserve.ts'
import { typicalTokensOfShaping } from '../limits/typical-messages.ts'
import { PREAMBLE_TOKENS, upperTokens } from '../limits/upper-bound.ts'
import type { RateNeed } from '../rate-limits/rate-charge.ts'
import type { RateLimiter } from '../rate-limits/rate-limiter.ts'
import { DEFAULT_MAX_TOKENS } from './ask-window.ts'
import { bodyOf } from './branch.ts'
import { runInSlot } from './branch-slot.ts'
import type { ManyOptions, ManyQuestion } from './many-question.ts'
import type { FreshLineage } from './reduction-lineage.ts'
import { SeenAnswer } from './seen-answer.ts'

export interface CallsParts {
  readonly admission: Pick<Admission, 'run'>
  readonly ledger: UsageSink
  readonly rates: Pick<RateLimiter, 'open'>
  readonly engine: Engine
  readonly model: EngineModel
  readonly lineage: FreshLineage
}

/** Whose calls these are, and how long their answers may be. */
export type CallsQuestion = Pick<ManyQuestion, 'tenant' | 'sharer' | 'policy' | 'maxTokens'>

export interface ReductionCall {
  readonly prompt: Prompt
  readonly temperature: number | undefined
  /** Body fields that constrain the answer. */
  readonly fields?: JsonObject
  readonly onText?: (text: string) => void
}

export interface ReductionReply {
  readonly text: string
  readonly finishReason: string | null
}

export class ReductionCalls {
  readonly #parts: CallsParts
  readonly #asked: CallsQuestion
  readonly #options: ManyOptions
  readonly maxTokens: number
  count = 0
  /** The sum over all calls; undefined if there was none, null once the engine did not report one. */
  #usage: Usage | null | undefined

  constructor(parts: CallsParts, asked: CallsQuestion, options: ManyOptions) {
    this.#parts = parts
    this.#asked = asked
    this.#options = options
    const wanted = asked.maxTokens ?? DEFAULT_MAX_TOKENS
    const { limit } = parts.model
    // Half of the context at least is for the answers of windows.
    this.maxTokens = limit === undefined ? wanted : Math.max(1, Math.min(wanted, Math.floor(limit / 2)))
  }

  get usage(): Usage | undefined {
    return this.#usage ?? undefined
  }

  /** Whether a prompt and its answer fit into `share` of the model's context. By the engine's own count, or else by a bound above it. */
  async fits(prompt: Prompt, share = 1): Promise<boolean> {
    const { engine, model } = this.#parts
    if (model.limit === undefined) return true
    const room = Math.floor(model.limit * share) - this.maxTokens
    const upper = upperTokens(prompt) + PREAMBLE_TOKENS
    if (upper <= room) return true
    const { onEvent: _, ...options } = this.#options
    const counted = await engine.countTokens(prompt, options).catch((thrown: unknown) => {
      if (!isFinalRefusal(thrown)) throw thrown
    })
    return (counted ?? upper) <= room
  }

  /** Throws what admission and engine throw, `UPSTREAM_BROKEN` if the answer is not complete, and `CLIENT_GONE`. */
  send(call: ReductionCall): Promise<ReductionReply> {
    return runInSlot(this.#parts.admission, this.#asked, this.#options.signal, () => this.#send(call))
  }

  async #send({ prompt, temperature, fields, onText }: ReductionCall): Promise<ReductionReply> {
    const { engine, lineage, ledger, rates, model } = this.#parts
    const { apiKey, signal } = this.#options
    const rules = rulesOf('chat')
    const { questions } = rules
    if (questions === undefined) throw new TypeError('chat has no rules for questions')
    const charge = rates.open({ ...this.#asked, actor: this.#options.actor }, openAiRateHeaders)
    await charge?.reserve(needOf(prompt, outputReserve(this.maxTokens, model.limit ?? Number.POSITIVE_INFINITY)))
    await lineage.check().catch((thrown: unknown) => {
      charge?.release()
      throw thrown
    })
    const seen = new SeenAnswer(rules)
    const onEvent = (event: JsonObject) => {
      seen.add(event)
      const text = questions.textOf(event)
      if (text !== undefined && text !== '') onText?.(text)
    }
    const shaped = { ...prompt, shaping: { ...prompt.shaping, ...fields } }
    const bounds = { maxTokens: this.maxTokens, temperature, withoutTools: false }
    const body = bodyOf({ rules, questions, prompt: shaped }, bounds, lineage.salt)
    this.count++
    const owner = { tenant: this.#asked.tenant, key: this.#options.actor, model: prompt.model }
    const work = recorded(ledger, owner, signal, async () => {
      await streamAnswer(engine, { path: rules.path, body, apiKey, signal, onEvent })
      const answer = seen.observe()
      this.#add(answer.usage)
      if (!answer.complete)
        throw new CwmError('UPSTREAM_BROKEN', 'the engine ended the reduction before it was complete; ask again')
      return { answer, usage: answer.usage }
    })
    const { choices, usage } = await work.catch((thrown: unknown) => {
      charge?.failed(toCwmError(thrown), seen.deltas)
      throw thrown
    })
    charge?.settle(usage)
    return { text: replyText(choices[0]?.messages ?? [], rules), finishReason: choices[0]?.finishReason ?? null }
  }

  #add(usage: Usage | undefined): void {
    if (usage === undefined || this.#usage === null) {
      this.#usage = null
      return
    }
    const sum = this.#usage
    if (sum === undefined) {
      this.#usage = usage
      return
    }
    const cached = sum.cachedTokens === undefined ? undefined : usage.cachedTokens
    this.#usage = {
      promptTokens: sum.promptTokens + usage.promptTokens,
      completionTokens: sum.completionTokens + usage.completionTokens,
      totalTokens: sum.totalTokens + usage.totalTokens,
      ...(cached === undefined ? {} : { cachedTokens: (sum.cachedTokens ?? 0) + cached }),
    }
  }
}

/** Its lineage is fresh, so nothing of it is cached. */
function needOf({ messages, shaping }: Prompt, answer: number): RateNeed {
  const prompt = messages.reduce<number>(
    (sum, message) => sum + estimatedTokens(message),
    typicalTokensOfShaping(shaping),
  )
  return { prompt, cached: 0, answer }
}
