// Asks many windows one question, side by side. Each window is asked in a slot of its own and fails on its own.

import type { Admission } from '../admission/admission.ts'
import { CwmError, toCwmError } from '../base/errors.ts'
import type { AskParts, WindowAsker } from './ask-window.ts'
import { runInSlot } from './branch-slot.ts'
import type { AnsweredWindow, AskEvent, FailedWindow, ManyAnswer, ManyOptions, ManyQuestion } from './many-question.ts'
import { receiptOf } from './many-receipt.ts'
import { findWindows, type Target } from './which-windows.ts'

export interface ManyAskParts extends AskParts {
  readonly asker: Pick<WindowAsker, 'answer'>
  readonly admission: Pick<Admission, 'run'>
}

/** Most windows asked at once. */
export const MAX_PARALLEL = 64
const DEFAULT_PARALLEL = 4

export class ManyAsker {
  readonly #parts: ManyAskParts

  constructor(parts: ManyAskParts) {
    this.#parts = parts
  }

  /**
   * Reports each window as it is done, then the reduction, then the receipt. A window's failure is its own event. Throws what
   * `findWindows` throws, what the store throws, and `CLIENT_GONE`: a client that leaves ends everything.
   */
  async ask(asked: ManyQuestion, options: ManyOptions): Promise<ManyAnswer> {
    const { store, now } = this.#parts
    const start = now()
    const targets = await findWindows(store, asked.tenant, asked.windows, options.signal)
    const parallel = Math.min(
      asked.parallel ?? DEFAULT_PARALLEL,
      MAX_PARALLEL,
      asked.policy.maxInFlight ?? MAX_PARALLEL,
    )
    options.onEvent({ type: 'started', windows: targets.length, parallel })
    const results = await this.#askAll(targets, parallel, asked, options)
    if (options.signal.aborted) throw new CwmError('CLIENT_GONE', 'the client left before its question was answered')
    const answers = results.filter((result) => 'receipt' in result)
    const failed = results.filter((result) => 'error' in result)
    const receipt = receiptOf({ answers, failed, parallel, ms: now() - start })
    options.onEvent({ type: 'receipt', receipt })
    return { answers, failed, reduction: undefined, reductionError: undefined, receipt }
  }

  async #askAll(
    targets: readonly Target[],
    parallel: number,
    asked: ManyQuestion,
    options: ManyOptions,
  ): Promise<readonly (AnsweredWindow | FailedWindow)[]> {
    const results: (AnsweredWindow | FailedWindow)[] = []
    const rest = targets.entries()
    const work = async () => {
      for (const [at, target] of rest) {
        if (options.signal.aborted) return
        const result = await this.#askOne(target, asked, options)
        results[at] = result
        options.onEvent(eventOf(result))
      }
    }
    await Promise.all(Array.from({ length: Math.min(parallel, targets.length) }, work))
    return results
  }

  async #askOne(
    { name }: Target,
    asked: ManyQuestion,
    { onEvent: _, ...options }: ManyOptions,
  ): Promise<AnsweredWindow | FailedWindow> {
    const { asker, admission } = this.#parts
    try {
      const { text, usage, receipt } = await runInSlot(admission, asked, options.signal, () =>
        asker.answer({ ...asked, window: name }, options),
      )
      return { window: name, answer: text, passage: null, usage, receipt }
    } catch (thrown) {
      return { window: name, error: toCwmError(thrown) }
    }
  }
}

function eventOf(result: AnsweredWindow | FailedWindow): AskEvent {
  return 'error' in result ? { type: 'window_error', ...result } : { type: 'window', ...result }
}
