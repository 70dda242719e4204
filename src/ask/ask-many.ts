// Asks many windows one question in parallel, and reduces their answers to one. If one window fails, the others are still asked.

import { CwmError, clientGone, toCwmError } from '../base/errors.ts'
import { requireModel } from '../base/tenants.ts'
import { runAudited } from '../windows/operation-audit.ts'
import { auditReceiptOf, nameOf } from './many-audit.ts'
import type { FailedWindow, ManyAnswer, ManyOptions, ManyQuestion, ManyReceipt, Reduction } from './many-question.ts'
import { receiptOf } from './many-receipt.ts'
import { parallelOf } from './parallel.ts'
import { type ReduceParts, reduceAnswers, requireServed } from './reduce.ts'
import { TokenBudget } from './token-budget.ts'
import { findWindows, type Target } from './which-windows.ts'
import { type RunParts, type WindowResult, WindowsRun } from './windows-run.ts'

export type ManyAskParts = RunParts & ReduceParts

/** The longest that a timer of Node can wait, milliseconds. */
const LONGEST_TIMER_MS = 2 ** 31 - 1
/** Of a window's record, while it waits to be asked. */
const TARGET_BYTES = 2_048
/** The number of connections bounds smaller questions. */
const FEW_WINDOWS = 32

type Answered = Extract<WindowResult, { receipt: unknown }>

/** How the reduction ended, with its costs. */
interface ReductionOutcome {
  readonly reduction: Reduction | undefined
  readonly error: CwmError | undefined
  readonly cost?: ManyReceipt['reduction']
  readonly notes: readonly string[]
}

/** The windows to ask, and those that cannot be asked. */
interface Chosen {
  readonly targets: readonly Target[]
  readonly absent: readonly FailedWindow[]
}

const notReduced: ReductionOutcome = { reduction: undefined, error: undefined, notes: [] }

export class ManyAsker {
  readonly #parts: ManyAskParts

  constructor(parts: ManyAskParts) {
    this.#parts = parts
  }

  /**
   * Reports each window as it is done, then the reduction, then the receipt. A failure of a window or of the reduction is an event. Throws
   * `FORBIDDEN_MODEL`, `INVALID_FIELD` for a model that is not served, `OVERLOADED` if there is no memory for so many windows, `ASK_DEADLINE` if
   * they are not selected by then, and what `findWindows`, the index of passages, and the store throw. When the signal aborts, it ends all
   * calls, leaves nothing stored, and throws `CLIENT_GONE`.
   */
  ask(asked: ManyQuestion, options: ManyOptions): Promise<ManyAnswer> {
    const { metrics } = this.#parts
    const chosen = nameOf(asked.windows)
    const operation = {
      tenant: asked.tenant,
      actor: options.actor,
      action: 'ask',
      target: 'windows',
      name: chosen,
    } as const
    const work = async () => {
      try {
        const answer = await this.#ask(asked, options)
        metrics.manyAsks.inc({ outcome: 'ok' })
        return answer
      } catch (thrown) {
        metrics.manyAsks.inc({ outcome: toCwmError(thrown).code.toLowerCase() })
        throw thrown
      }
    }
    return runAudited(this.#parts, operation, work, (answer) => ({ receipt: auditReceiptOf(answer) }))
  }

  async #ask(asked: ManyQuestion, options: ManyOptions): Promise<ManyAnswer> {
    const { now } = this.#parts
    const start = now()
    await this.#checkModel(asked, options)
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), Math.min(asked.deadlineMs ?? LONGEST_TIMER_MS, LONGEST_TIMER_MS))
    const budget = asked.budgetTokens === undefined ? undefined : new TokenBudget(asked.budgetTokens)
    try {
      const { targets, absent } = await this.#chooseBy(deadline.signal, asked, options)
      holdTargets(targets, options)
      const records = targets.flatMap(({ record }) => record ?? [])
      const parallel = await parallelOf(this.#parts.fleet, asked, records, options)
      options.onEvent({ type: 'started', windows: targets.length + absent.length, parallel })
      for (const failed of absent) options.onEvent({ type: 'window_error', ...failed })
      const run = new WindowsRun(this.#parts, asked, options, { deadline: deadline.signal, budget })
      const results = await run.all(targets, parallel)
      checkPresent(options.signal)
      const answered = results.filter((result) => 'receipt' in result)
      const answers = answered.map(({ model: _, ...answer }) => answer)
      const failed = [...absent, ...results.filter((result) => 'error' in result)]
      const { reduction, error, cost, notes } = await this.#reduce(asked, answered, options)
      const ms = now() - start
      const receipt = receiptOf({ answers, failed, parallel, ms, budget: budget?.receipt, reduction: cost, notes })
      this.#count(receipt)
      options.onEvent({ type: 'receipt', receipt })
      return { answers, failed, reduction, reductionError: error, receipt }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Before anything is asked: a wrong name would cost the answers of all windows. */
  async #checkModel({ policy, reduce, reduceModel }: ManyQuestion, { apiKey }: ManyOptions): Promise<void> {
    if (reduceModel === undefined) return
    requireModel(policy, reduceModel)
    if (reduce !== 'none') await requireServed(this.#parts, reduceModel, apiKey)
  }

  /** A question whose windows are not known by its deadline cannot be answered in part. */
  async #chooseBy(deadline: AbortSignal, asked: ManyQuestion, options: ManyOptions): Promise<Chosen> {
    try {
      return await this.#choose(asked, { ...options, signal: AbortSignal.any([options.signal, deadline]) })
    } catch (thrown) {
      if (!deadline.aborted || toCwmError(thrown).code !== 'CLIENT_GONE') throw thrown
      checkPresent(options.signal)
      const message = `the windows were not selected by deadline_ms (${asked.deadlineMs}); the first selection indexes their texts, so ask again`
      throw new CwmError('ASK_DEADLINE', message, { param: 'deadline_ms' })
    }
  }

  /** The windows to ask. With `select`, names that do not exist cannot be ranked, so they fail here. */
  async #choose({ tenant, windows, select, question }: ManyQuestion, { signal }: ManyOptions): Promise<Chosen> {
    const { store, passages } = this.#parts
    const targets = await findWindows(store, tenant, windows, signal)
    if (select === undefined) return { targets, absent: [] }
    const frozen = targets.flatMap(({ record }) => (record?.state === 'frozen' ? record : []))
    const ranked = await passages.rank(tenant, frozen, question, select.text, signal)
    const byName = new Map(frozen.map((record) => [record.name, record]))
    const absent = targets
      .filter(({ name }) => !byName.has(name))
      .map(({ name, record }) => ({ window: name, error: notFrozen(name, record?.state) }))
    return { targets: ranked.map(({ window }) => ({ name: window, record: byName.get(window) })), absent }
  }

  /** Does not throw if the reduction fails: the windows' answers remain valid. */
  async #reduce(asked: ManyQuestion, answered: readonly Answered[], options: ManyOptions): Promise<ReductionOutcome> {
    if (asked.reduce === 'none') return notReduced
    const { metrics } = this.#parts
    const found = answered.flatMap(({ window, answer }) => (answer === null ? [] : { window, answer }))
    const model = asked.reduceModel ?? mostFrequent(answered.map((at) => at.model))
    try {
      const { reduction, cost, notes } = await reduceAnswers(this.#parts, asked, found, model, options)
      metrics.askReductions.inc({ outcome: 'ok' })
      metrics.askReductionTokens.inc(cost.promptTokens ?? 0)
      options.onEvent({ type: 'reduction', ...reduction })
      return { reduction, error: undefined, cost, notes }
    } catch (thrown) {
      checkPresent(options.signal)
      const error = toCwmError(thrown)
      if (error.code === 'INTERNAL') this.#parts.log.error({ err: error }, 'reduction failed')
      metrics.askReductions.inc({ outcome: error.code.toLowerCase() })
      options.onEvent({ type: 'reduction_error', error })
      return { reduction: undefined, error, notes: [] }
    }
  }

  #count({ answered, notFound, failed }: ManyReceipt): void {
    const { manyAskWindows } = this.#parts.metrics
    manyAskWindows.inc({ outcome: 'answered' }, answered)
    manyAskWindows.inc({ outcome: 'not_found' }, notFound)
    manyAskWindows.inc({ outcome: 'failed' }, failed)
  }
}

/** The question itself holds no slot, so nothing else bounds how many of them one sender may have at once. */
function holdTargets({ length }: readonly Target[], { hold }: ManyOptions): void {
  if (length > FEW_WINDOWS) hold?.(length * TARGET_BYTES)
}

function checkPresent(signal: AbortSignal): void {
  if (signal.aborted) throw clientGone('its question was answered')
}

/** The model of most answers; of equal ones, the first. Empty if there is no answer. */
export function mostFrequent(models: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const model of models) counts.set(model, (counts.get(model) ?? 0) + 1)
  let [best, most] = ['', 0]
  for (const [model, count] of counts) if (count > most) [best, most] = [model, count]
  return best
}

function notFrozen(name: string, state: string | undefined): CwmError {
  const options = { param: 'windows' }
  if (state === undefined) return new CwmError('WINDOW_NOT_FOUND', `there is no window ${name} under this key`, options)
  return new CwmError('WINDOW_NOT_READY', `window ${name} is ${state}, so its passages cannot be ranked`, options)
}
