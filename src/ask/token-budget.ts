// The tokens that a question to many windows may compute. They are estimated for each window before it is asked.

import { CwmError, clientGone, isFinalRefusal, toCwmError } from '../base/errors.ts'
import type { CallOptions, Engine } from '../engines/engine.ts'
import { PREAMBLE_TOKENS, upperTokens } from '../limits/upper-bound.ts'
import type { BaseWindow } from '../windows/base-windows.ts'
import type { WindowParts } from '../windows/parts.ts'
import { branchOf, type Question } from './branch.ts'
import type { BudgetReceipt } from './many-question.ts'

/** LMCache loads about a gigabyte a second. Whatever it has not loaded by then counts as computed. */
const PREFETCH_DEADLINE_MS = 30_000

export class TokenBudget {
  readonly #tokens: number
  #left: number
  #estimated = 0
  #stopped = 0
  /** An estimate did not fit. */
  #isOver = false

  constructor(tokens: number) {
    this.#tokens = tokens
    this.#left = tokens
  }

  /** Throws `ASK_BUDGET_USED_UP` once an estimate has exceeded the budget: later windows are not estimated. */
  check(): void {
    if (this.#isOver) throw this.#refusal('an earlier window did not fit into the rest of the budget')
  }

  /**
   * Takes an estimate out of the budget. Returns a function that replaces it by the tokens that were computed. Throws `ASK_BUDGET_USED_UP`
   * if it does not fit.
   */
  take(estimate: number): (computed: number | null) => void {
    this.check()
    if (estimate > this.#left) {
      this.#isOver = true
      throw this.#refusal(`about ${estimate} tokens of this window would be computed, and ${this.#left} are left`)
    }
    this.#left -= estimate
    this.#estimated += estimate
    return (computed) => {
      if (computed !== null) this.#left += estimate - computed
    }
  }

  /** Gives an estimate back: its window is asked later. */
  giveBack(estimate: number): void {
    this.#left += estimate
    this.#estimated -= estimate
  }

  get receipt(): BudgetReceipt {
    return { tokens: this.#tokens, estimatedTokens: this.#estimated, stopped: this.#stopped }
  }

  #refusal(why: string): CwmError {
    this.#stopped++
    const message = `${why}; raise budget_tokens (${this.#tokens}), or ask fewer windows`
    return new CwmError('ASK_BUDGET_USED_UP', message, { param: 'budget_tokens' })
  }
}

/**
 * Estimates the prompt tokens of a question that the engine has to compute: all that the KV layer cannot load into the memory of the
 * engine's own server. The engine's own cache is not visible, so the estimate may be much too high. It is too low by a few tokens at most,
 * because each question has another nonce. Throws what the engine throws, and `CLIENT_GONE`.
 */
export async function estimateTokens(
  parts: WindowParts,
  base: BaseWindow,
  question: Question,
  options: CallOptions,
): Promise<number> {
  const engine = await parts.fleet.pick(base.record)
  const total = await promptTokensOf(engine, base, question, options)
  return Math.max(0, total - (await loadableTokens(parts, engine, base, options)))
}

async function promptTokensOf(
  engine: Engine,
  base: BaseWindow,
  question: Question,
  options: CallOptions,
): Promise<number> {
  const { prompt } = branchOf(base, question)
  const counted = await engine.countTokens(prompt, options).catch((thrown: unknown) => {
    if (!isFinalRefusal(thrown)) throw thrown
  })
  return counted ?? upperTokens(prompt) + PREAMBLE_TOKENS
}

/** Loads the window's chunks into the server's memory, and counts them. 0 if that is unknown. */
async function loadableTokens(
  { kv, saltOf, kvEpoch }: WindowParts,
  engine: Engine,
  { record, tokenIds }: BaseWindow,
  options: CallOptions,
): Promise<number> {
  if (tokenIds.length === 0) return 0
  try {
    const [link, model] = [await kv.open(), await engine.models.find(record.model, options.apiKey)]
    const handle = model === undefined ? undefined : link?.plan(model.engineName, tokenIds.length)
    if (link === undefined || handle === undefined) return 0
    const sequence = { tokenIds, salt: saltOf({ ...record, kvEpoch }), handle }
    const wait = { deadlineMs: PREFETCH_DEADLINE_MS, server: engine.kvServer, signal: options.signal }
    const { foundChunks } = await link.prefetch(sequence, wait)
    return (foundChunks ?? 0) * link.extentOf(handle, tokenIds.length).chunkSize
  } catch (thrown) {
    if (options.signal?.aborted === true) throw clientGone('its window was asked')
    if (toCwmError(thrown).code === 'INTERNAL') throw thrown
    kv.invalidate()
    return 0
  }
}
