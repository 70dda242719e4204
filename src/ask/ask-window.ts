// Asks a frozen window: one request on a branch of it, under the window's own lineage, so that its KV is loaded and not computed. The branch
// has no session, and nothing of it is kept but numbers.

import { LRUCache } from 'lru-cache'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import type { StepMs, TierCounts, Usage } from '../base/records.ts'
import { type Caller, requireModel } from '../base/tenants.ts'
import { recorded } from '../base/usage-sink.ts'
import type { Observation } from '../dialects/dialect.ts'
import { openAiRateHeaders } from '../dialects/rate-headers.ts'
import { replyText } from '../dialects/reply-text.ts'
import type { Engine, EngineModel } from '../engines/engine.ts'
import { streamAnswer } from '../engines/stream-answer.ts'
import { outputReserve } from '../limits/output-reserve.ts'
import { typicalTokens } from '../limits/typical.ts'
import type { RateNeed } from '../rate-limits/rate-charge.ts'
import type { RateLimiter } from '../rate-limits/rate-limiter.ts'
import type { BaseWindow } from '../windows/base-windows.ts'
import { commonPrefix } from '../windows/frozen-ids.ts'
import { type OperationOptions, runAudited } from '../windows/operation-audit.ts'
import type { WindowParts } from '../windows/parts.ts'
import { StepTimer } from '../windows/step-timer.ts'
import { lookupTiers } from '../windows/thaw.ts'
import type { Windows } from '../windows/windows.ts'
import { type Branch, bodyOf, branchOf, offersTools, type Question } from './branch.ts'
import { type Comparison, loadOrCompute, type Measured } from './load-or-compute.ts'
import { SeenAnswer } from './seen-answer.ts'

export interface WindowQuestion extends Question, Pick<Caller, 'tenant' | 'sharer' | 'policy'> {
  readonly window: string
  /** Undefined: `DEFAULT_MAX_TOKENS`, or what the context limit leaves. */
  readonly maxTokens: number | undefined
  readonly temperature: number | undefined
}

export interface AskOptions extends OperationOptions {
  readonly signal: AbortSignal
  /** Called with each piece of the answer's text as it arrives. */
  readonly onText?: (text: string) => void
}

/** What a question cost, and what shows it. Counts are the engine's own; null where it does not report them. */
export interface AskReceipt {
  readonly window: string
  /** The call's `cached_tokens`. */
  readonly restoredTokens: number | null
  /** The rest of its prompt. */
  readonly computedTokens: number | null
  readonly reasoningTokens: number | null
  readonly tiersBefore: TierCounts
  readonly finishReason: string | null
  /** The window's ids are no longer how the prompt begins, so its KV does not fit. Null if the ids are unknown. */
  readonly drift: boolean | null
  readonly firstTokenMs: number | null
  /** Time in which this engine would have computed the whole prompt, at the rate measured so far. Null until one was measured. */
  readonly computeMs: number | null
  readonly ms: StepMs
  readonly warnings: readonly string[]
  readonly notes: readonly string[]
}

export interface WindowAnswer {
  readonly text: string
  /** The window's model, which gave the answer. */
  readonly model: string
  readonly usage: Usage | undefined
  readonly receipt: AskReceipt
}

export interface AskParts extends WindowParts {
  readonly windows: Pick<Windows, 'requireFrozen' | 'use'>
  readonly rates: Pick<RateLimiter, 'open'>
}

/** Long enough for an answer with its reasons. */
export const DEFAULT_MAX_TOKENS = 1_024
/** Pairs of engine and model. */
const MAX_KNOWN_ENGINES = 1_000

/** The size of a branch, as far as the engine reports it. */
interface Sized {
  readonly promptTokens: number | undefined
  readonly drift: boolean | null
}

/** A question that is about to be sent. */
interface Prepared extends Sized {
  readonly base: BaseWindow
  readonly branch: Branch
  readonly engine: Engine
  readonly model: EngineModel | undefined
  readonly maxTokens: number
  readonly withoutTools: boolean
}

export class WindowAsker {
  readonly #parts: AskParts
  /** Engines that leave tools out of prompts with `tool_choice: none` (vLLM's --exclude-tools-when-tool-choice-none), which changes the ids. */
  readonly #dropsTools = new LRUCache<string, true>({ max: MAX_KNOWN_ENGINES })

  constructor(parts: AskParts) {
    this.#parts = parts
  }

  /**
   * Throws what windows, store and engine throw, `ASK_NEEDS_TOOL_RESULT` if the window ends in a tool call, `ASK_CALLED_TOOL` if the model
   * calls one, and `CONTEXT_LENGTH_EXCEEDED` if question and answer do not fit behind the window. Nothing stays behind then.
   */
  ask(asked: WindowQuestion, options: AskOptions): Promise<WindowAnswer> {
    const { tenant, window: name } = asked
    const operation = { tenant, actor: options.actor, action: 'ask', target: 'window', name } as const
    return runAudited(
      this.#parts,
      operation,
      () => this.answer(asked, options),
      ({ usage, receipt }) => ({
        receipt: {
          restored_tokens: receipt.restoredTokens,
          computed_tokens: receipt.computedTokens,
          completion_tokens: usage?.completionTokens ?? null,
          drift: receipt.drift,
        },
      }),
    )
  }

  /** As `ask`, for a question whose audit entry is written elsewhere. */
  async answer(asked: WindowQuestion, options: AskOptions): Promise<WindowAnswer> {
    const { tenant, policy, window: name } = asked
    const base = await this.#parts.windows.requireFrozen(tenant, name, options.signal)
    requireModel(policy, base.record.model)
    return await this.#parts.windows.use(base, () => this.#ask(base, asked, options))
  }

  async #ask(base: BaseWindow, asked: WindowQuestion, options: AskOptions): Promise<WindowAnswer> {
    const { metrics, now } = this.#parts
    const steps = new StepTimer(now)
    const warnings: string[] = []
    const prepared = await this.#prepare(base, asked, steps, options)
    const { model } = prepared
    const tiersBefore = await steps.time('lookup', () =>
      lookupTiers(this.#parts, base, base.tokenIds, model?.engineName, warnings, options),
    )
    const seen = new SeenAnswer(prepared.branch.rules)
    const { observed, firstTokenMs } = await steps.time('answer', () => this.#dispatch(prepared, asked, options, seen))
    const text = checkedText(observed, prepared.branch, base.record.name)
    const counts = countsOf(observed)
    const { computeMs, notes } = this.#compare(prepared, { ...counts, firstTokenMs })
    metrics.asks.inc()
    metrics.askRestoredTokens.inc(counts.restoredTokens ?? 0)
    metrics.askComputedTokens.inc(counts.computedTokens ?? 0)
    const { drift } = prepared
    if (drift === true)
      warnings.push(
        'the template or tokenizer now produces different token ids than at the freeze, so the stored KV does not match',
      )
    return {
      text,
      model: base.record.model,
      usage: observed.usage,
      receipt: {
        window: base.record.name,
        ...counts,
        reasoningTokens: seen.reasoningTokens,
        tiersBefore,
        finishReason: observed.choices[0]?.finishReason ?? null,
        drift,
        firstTokenMs,
        computeMs,
        ms: { ...steps.ms },
        warnings,
        notes: [...this.#learn(prepared, observed), ...notes],
      },
    }
  }

  /** Sends the question, and reports it to the ledger. Throws what the rate limit throws, and `UPSTREAM_BROKEN` unless the answer is complete. */
  async #dispatch(
    prepared: Prepared,
    asked: WindowQuestion,
    options: AskOptions,
    seen: SeenAnswer,
  ): Promise<{ readonly observed: Observation; readonly firstTokenMs: number | null }> {
    const { ledger, rates, now } = this.#parts
    const charge = rates.open({ ...asked, actor: options.actor }, openAiRateHeaders)
    await charge?.reserve(needOf(prepared, asked))
    const { name, model } = prepared.base.record
    const owner = { tenant: asked.tenant, key: options.actor, model }
    let firstTokenMs: number | null = null
    const start = now()
    const onFirst = () => {
      firstTokenMs ??= now() - start
    }
    try {
      const observed = await recorded(ledger, owner, options.signal, async () => {
        await this.#send(prepared, asked, options, seen, onFirst)
        const answer = seen.observe()
        requireComplete(answer, name)
        return { answer, usage: answer.usage, firstTokenMs: firstTokenMs ?? undefined, restores: true }
      })
      charge?.settle(observed.usage)
      return { observed, firstTokenMs }
    } catch (thrown) {
      charge?.failed(toCwmError(thrown), seen.deltas)
      throw thrown
    }
  }

  /** Compares with the rate of earlier prompts, then adds this prompt to that rate. */
  #compare({ engine, base }: Prepared, measured: Measured): Comparison {
    const { costs } = this.#parts
    const { model } = base.record
    const compared = loadOrCompute(measured, costs.prefillRate(engine.id, model))
    const { computedTokens, restoredTokens: cachedTokens, firstTokenMs: ms } = measured
    costs.sawPrefill(engine.id, model, { computedTokens, cachedTokens, ms })
    return compared
  }

  /** Checks everything that can be checked before the request is sent. */
  async #prepare(
    base: BaseWindow,
    { maxTokens: wanted, ...question }: WindowQuestion,
    steps: StepTimer,
    options: AskOptions,
  ): Promise<Prepared> {
    const branch = branchOf(base, question)
    const engine = await this.#parts.fleet.pick(base.record)
    const model = await engine.models.find(base.record.model, options.apiKey)
    const sized = await steps.time('ids', () => sizeOf(branch, base, engine, options))
    const room = model?.limit === undefined ? undefined : model.limit - (sized.promptTokens ?? base.tokenIds.length)
    const maxTokens = wanted ?? Math.min(DEFAULT_MAX_TOKENS, Math.max(room ?? DEFAULT_MAX_TOKENS, 1))
    if (room !== undefined && model?.limit !== undefined && room < maxTokens) {
      throw tooLong(base.record.name, { limit: model.limit, room, maxTokens })
    }
    const withoutTools = offersTools(branch) && !this.#dropsTools.has(knownAs(engine, base))
    return { ...sized, base, branch, engine, model, maxTokens, withoutTools }
  }

  async #send(
    prepared: Prepared,
    { temperature }: WindowQuestion,
    { apiKey, signal, onText }: AskOptions,
    seen: SeenAnswer,
    onFirst: () => void,
  ): Promise<void> {
    const { store, saltOf, quotas, policyOf, kvEpoch } = this.#parts
    const { base, branch, engine, maxTokens, withoutTools } = prepared
    const { record } = base
    const salt = saltOf({ ...record, kvEpoch })
    await quotas.ensure(salt, policyOf(record.tenant).kvQuotaGb)
    // Checked at the last moment: KV that is stored after the lineage was retired would have no owner to delete it.
    if (await store.isRetired(record.tenant, record.lineage)) {
      throw new CwmError('WINDOW_NOT_FOUND', `window ${record.name} was deleted while it was asked`, { param: 'name' })
    }
    const body = bodyOf(branch, { maxTokens, temperature, withoutTools }, salt)
    const onEvent = (event: JsonObject) => {
      seen.add(event)
      const text = branch.questions.textOf(event)
      if (text === undefined || text === '') return
      onFirst()
      onText?.(text)
    }
    await streamAnswer(engine, { path: branch.rules.path, body, apiKey, signal, onEvent })
  }

  /** Notices an engine that drops the tools of such requests. Returns what the receipt says of it. */
  #learn({ base, engine, promptTokens, withoutTools }: Prepared, { usage }: Observation): string[] {
    if (!withoutTools || promptTokens === undefined || usage === undefined) return []
    if (usage.promptTokens >= promptTokens) return []
    this.#dropsTools.set(knownAs(engine, base), true)
    return [
      'the engine leaves tools out of prompts whose answer may call none (--exclude-tools-when-tool-choice-none), so this one was computed; the next questions keep them',
    ]
  }
}

function knownAs(engine: Engine, { record }: BaseWindow): string {
  return JSON.stringify([engine.id, record.model])
}

/** Undefined and null where the engine cannot return the ids of the prompt. It then checks the size itself. */
async function sizeOf(
  { prompt }: Branch,
  { tokenIds }: BaseWindow,
  engine: Engine,
  options: AskOptions,
): Promise<Sized> {
  try {
    const ids = await engine.tokenIds(prompt, options)
    if (ids === undefined) return { promptTokens: undefined, drift: null }
    const drift = tokenIds.length === 0 ? null : commonPrefix(ids, tokenIds) !== tokenIds.length
    return { promptTokens: ids.length, drift }
  } catch (thrown) {
    if (toCwmError(thrown).code !== 'UPSTREAM_REJECTED') throw thrown
    return { promptTokens: undefined, drift: null }
  }
}

/** The window's KV is loaded, so only the question and the answer are computed, unless the ids no longer match. */
function needOf({ promptTokens, drift, base, model, maxTokens }: Prepared, asked: Question): RateNeed {
  const answer = outputReserve(maxTokens, model?.limit ?? Number.POSITIVE_INFINITY)
  const cached = drift === true ? 0 : base.tokenIds.length
  const question = typicalTokens(`${asked.instructions ?? ''} ${asked.question}`)
  const prompt = promptTokens === undefined ? question : Math.max(0, promptTokens - cached)
  return { prompt, cached, answer }
}

function requireComplete({ complete }: Observation, name: string): void {
  if (complete) return
  throw new CwmError(
    'UPSTREAM_BROKEN',
    `the engine ended the answer of window ${name} before it was complete; ask again`,
  )
}

/** Throws unless the answer consists of text. */
function checkedText({ choices }: Observation, { rules }: Branch, name: string): string {
  const messages = choices[0]?.messages ?? []
  if (messages.some((message) => rules.toolCallIds(message).length > 0)) {
    throw new CwmError(
      'ASK_CALLED_TOOL',
      `the model called a tool instead of answering from window ${name}; say in \`instructions\` that it must answer in text`,
      { param: 'instructions' },
    )
  }
  return replyText(messages, rules)
}

function countsOf({ usage }: Observation): Pick<AskReceipt, 'restoredTokens' | 'computedTokens'> {
  const cached = usage?.cachedTokens
  if (usage === undefined || cached === undefined) return { restoredTokens: null, computedTokens: null }
  return { restoredTokens: cached, computedTokens: usage.promptTokens - cached }
}

function tooLong(
  name: string,
  { limit, room, maxTokens }: { readonly limit: number; readonly room: number; readonly maxTokens: number },
): CwmError {
  const taken = `window ${name} and this question take ${limit - room} of ${limit} tokens`
  const otherwise = "or ask a clone of the window's first messages"
  if (room <= 0) {
    const message = `${taken}: nothing is left for an answer. Ask a shorter question, ${otherwise}`
    return new CwmError('CONTEXT_LENGTH_EXCEEDED', message, { param: 'question' })
  }
  return new CwmError(
    'CONTEXT_LENGTH_EXCEEDED',
    `${taken}: ${room} are left for the answer, and max_tokens is ${maxTokens}. Ask a shorter question, lower max_tokens, ${otherwise}`,
    { param: 'max_tokens' },
  )
}
