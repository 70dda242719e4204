// Asks the windows of one question, a number of them at once. Each one has its own slot, answer, and error.

import { setMaxListeners } from 'node:events'
import type { Admission } from '../admission/admission.ts'
import { CwmError, clientGone, toCwmError } from '../base/errors.ts'
import type { Passage, PassageIndex } from '../passages/passage-index.ts'
import { RateLimited } from '../rate-limits/rate-charge.ts'
import type { AskOptions, AskParts, WindowAnswer, WindowAsker } from './ask-window.ts'
import { runInSlot } from './branch-slot.ts'
import type { AnsweredWindow, AskEvent, FailedWindow, ManyOptions, ManyQuestion } from './many-question.ts'
import { isNotFound, withNotFound } from './not-found.ts'
import { MAX_PARALLEL } from './parallel.ts'
import { estimateTokens, type TokenBudget } from './token-budget.ts'
import type { Target } from './which-windows.ts'

export interface RunParts extends AskParts {
  readonly asker: Pick<WindowAsker, 'answer'>
  readonly admission: Pick<Admission, 'run'>
  readonly passages: Pick<PassageIndex, 'rank' | 'passageOf'>
}

export interface RunLimits {
  /** Aborts at the question's deadline. */
  readonly deadline: AbortSignal
  readonly budget: TokenBudget | undefined
}

/** Of the signal: each of the windows that are asked at once adds a few, until it is done. */
const MAX_LISTENERS = 4 * MAX_PARALLEL
/** Of a window's answer, besides its texts. */
const HELD_BYTES = 2_048

/** A window's own answer, and the model that gave it. */
export type WindowResult = (AnsweredWindow & { readonly model: string }) | FailedWindow

export class WindowsRun {
  readonly #parts: RunParts
  readonly #asked: ManyQuestion
  readonly #options: ManyOptions
  readonly #limits: RunLimits
  /** Aborts when the client leaves, or at the deadline. */
  readonly #signal: AbortSignal

  constructor(parts: RunParts, asked: ManyQuestion, options: ManyOptions, limits: RunLimits) {
    this.#parts = parts
    this.#asked = asked
    this.#options = options
    this.#limits = limits
    this.#signal = AbortSignal.any([options.signal, limits.deadline])
    setMaxListeners(MAX_LISTENERS, this.#signal)
  }

  /** Reports each window as it is done. Returns them in their order; without those that a client did not wait for. */
  async all(targets: readonly Target[], parallel: number): Promise<readonly WindowResult[]> {
    const results: WindowResult[] = []
    const rest = targets.entries()
    const work = async () => {
      for (const [at, target] of rest) {
        const result = await this.#ask(target)
        if (this.#options.signal.aborted) return
        results[at] = result
        this.#options.onEvent(eventOf(result))
      }
    }
    await Promise.all(Array.from({ length: Math.min(parallel, targets.length) }, work))
    return results.filter((result) => result !== undefined)
  }

  async #ask({ name, record }: Target): Promise<WindowResult> {
    const { admission } = this.#parts
    try {
      this.#limits.budget?.check()
      if (this.#signal.aborted) throw clientGone('this window was asked')
      const answered = await runInSlot(admission, this.#asked, this.#signal, () => this.#askWithin(name))
      const answer = isNotFound(answered.text) ? null : answered.text
      const { usage, receipt, model } = answered
      const passage = answer === null ? null : await this.#passageOf(name, record, answer)
      this.#options.hold?.(HELD_BYTES + 2 * ((answer?.length ?? 0) + (passage?.text.length ?? 0)))
      return { window: name, answer, passage, usage, receipt, model }
    } catch (thrown) {
      return { window: name, error: this.#errorOf(name, thrown) }
    }
  }

  /** In a slot. */
  async #askWithin(name: string): Promise<WindowAnswer> {
    const { asker, windows } = this.#parts
    const { tenant, sharer, policy, question, maxTokens, temperature } = this.#asked
    const { apiKey, actor, headers } = this.#options
    const call: AskOptions = { apiKey, actor, ...(headers === undefined ? {} : { headers }), signal: this.#signal }
    const instructions = withNotFound(this.#asked.instructions)
    const { budget } = this.#limits
    let settle: ReturnType<TokenBudget['take']> | undefined
    let estimate = 0
    if (budget !== undefined) {
      const base = await windows.requireFrozen(tenant, name, this.#signal)
      estimate = await estimateTokens(this.#parts, base, { question, instructions }, call)
      settle = budget.take(estimate)
    }
    const asked = { tenant, sharer, policy, window: name, question, instructions, maxTokens, temperature }
    try {
      const answer = await asker.answer(asked, call)
      settle?.(answer.receipt.computedTokens)
      return answer
    } catch (thrown) {
      if (thrown instanceof RateLimited) budget?.giveBack(estimate)
      throw thrown
    }
  }

  /** A window's answer stands without its quotation. */
  async #passageOf(name: string, known: Target['record'], answer: string): Promise<Passage | null> {
    const { passages, store, log } = this.#parts
    const { tenant, question } = this.#asked
    try {
      const record = known ?? (await store.getWindow(tenant, name))
      if (record === undefined) return null
      return await passages.passageOf(tenant, record, `${question}\n${answer}`, this.#signal)
    } catch (thrown) {
      const error = toCwmError(thrown)
      if (error.code !== 'CLIENT_GONE') log.warn({ window: name, err: error }, 'no passage for an answer')
      return null
    }
  }

  #errorOf(name: string, thrown: unknown): CwmError {
    const error = toCwmError(thrown)
    if (!this.#limits.deadline.aborted || error.code !== 'CLIENT_GONE') return error
    return new CwmError('ASK_DEADLINE', `window ${name} was not answered by deadline_ms (${this.#asked.deadlineMs})`, {
      param: 'deadline_ms',
    })
  }
}

function eventOf(result: WindowResult): AskEvent {
  if ('error' in result) return { type: 'window_error', ...result }
  const { model: _, ...answered } = result
  return { type: 'window', ...answered }
}
