// Asks many windows of a running cwm, and shows each as it is done.

import { parseJson } from '../base/json.ts'
import type { ManyAnswerJson, ManyAskBody, ManyAskEvents } from '../wire/many-asks.ts'
import type { CommandContext } from './client/command.ts'
import { exitCodes } from './client/command.ts'
import { eventsOf } from './client/events.ts'
import { formatHeader, formatManyReceipt, formatRow, type WindowResult } from './client/many-rows.ts'
import { RefusedError, UnreachableError } from './client/rest.ts'
import { StatusLine } from './terminal/status-line.ts'
import { stripControlCharacters } from './terminal/text.ts'

type Data = { readonly [K in keyof ManyAskEvents]?: ManyAskEvents[K] }

/**
 * Rows go to standard output if they are the answer, and to standard error if one answer is made of them. The exit code is 1 if no window
 * could be asked, or that answer failed. Throws `RefusedError` and `UnreachableError` as `Rest` does, and the signal's reason.
 */
export async function askMany(context: CommandContext, body: ManyAskBody): Promise<void> {
  const { rest, screen, json, signal } = context
  const answer = new ManyView(context, body.reduce ?? 'none')
  const response = await rest.send('/cwm/v1/ask', { method: 'POST', body, signal })
  try {
    for await (const { event, data } of eventsOf(response)) {
      if (event === 'error') throw new RefusedError(response.status, data)
      answer.add({ [event ?? '']: parseJson(data) } as Data)
    }
  } catch (thrown) {
    signal.throwIfAborted()
    if (thrown instanceof RefusedError) throw thrown
    throw new UnreachableError('the connection broke before the question was answered', { cause: thrown })
  } finally {
    answer.stop()
  }
  const whole = answer.whole
  if (whole === undefined) throw new UnreachableError('the answer ended before it was complete')
  if (json) screen.print(JSON.stringify(whole, null, 2))
  if (whole.reduction_error !== null || whole.receipt.failed === whole.receipt.windows) {
    process.exitCode = exitCodes.refused
  }
}

/** Prints events as they come, unless as JSON at the end. */
class ManyView {
  readonly #context: CommandContext
  readonly #reduces: boolean
  readonly #status = new StatusLine()
  readonly #answers: ManyAnswerJson['answers'] = []
  readonly #failed: ManyAnswerJson['failed'] = []
  #windows = 0
  #reduction: ManyAnswerJson['reduction'] = null
  #reductionError: ManyAnswerJson['reduction_error'] = null
  #receipt: ManyAnswerJson['receipt'] | undefined
  #isWriting = false

  constructor(context: CommandContext, reduce: NonNullable<ManyAskBody['reduce']>) {
    this.#context = context
    this.#reduces = reduce !== 'none'
  }

  /** Everything that was reported; undefined if the receipt is missing. */
  get whole(): ManyAnswerJson | undefined {
    const receipt = this.#receipt
    return (
      receipt && {
        answers: this.#answers,
        failed: this.#failed,
        reduction: this.#reduction,
        reduction_error: this.#reductionError,
        receipt,
      }
    )
  }

  add({ started, window, window_error, text, reduction, reduction_error, receipt }: Data): void {
    if (started !== undefined) this.#start(started)
    if (window !== undefined) this.#row(window, () => this.#answers.push(window))
    if (window_error !== undefined) this.#row(window_error, () => this.#failed.push(window_error))
    if (text !== undefined) this.#write(text.text)
    if (reduction !== undefined) this.#reduced(reduction)
    if (reduction_error !== undefined) this.#failedReduction(reduction_error.error)
    if (receipt !== undefined) this.#end(receipt)
  }

  /** Nothing follows. */
  stop(): void {
    this.#status.clear()
    if (this.#isWriting) process.stdout.write('\n')
    this.#isWriting = false
  }

  #start({ windows }: ManyAskEvents['started']): void {
    this.#windows = windows
    for (const line of formatHeader(this.#context.screen)) this.#printRow(line)
    this.#showProgress()
  }

  #row(result: WindowResult, keep: () => void): void {
    keep()
    for (const line of formatRow(this.#context.screen, result, !this.#reduces)) this.#printRow(line)
    this.#showProgress()
  }

  #printRow(line: string): void {
    const { screen, json } = this.#context
    if (json) return
    this.#status.clear()
    if (this.#reduces) screen.printError(line)
    else screen.print(line)
  }

  #showProgress(): void {
    const done = this.#answers.length + this.#failed.length
    const isOver = done === this.#windows
    if (isOver && !this.#reduces) return
    this.#status.show(isOver ? 'writing the answer …' : `${done} of ${this.#windows} windows …`)
  }

  #write(text: string): void {
    if (this.#context.json) return
    this.#status.clear()
    this.#isWriting = true
    process.stdout.write(stripControlCharacters(text))
  }

  #reduced(reduction: ManyAskEvents['reduction']): void {
    this.#reduction = reduction
    const { screen, json } = this.#context
    if (json) return
    const wasWritten = this.#isWriting
    this.stop()
    if (reduction.answer === null) screen.print('no window contains an answer')
    else if (!wasWritten) screen.print(stripControlCharacters(reduction.answer))
    if (reduction.window !== null) screen.print(screen.style('dim', `(from ${reduction.window})`))
    if (reduction.finish_reason === 'length') {
      screen.printError(screen.style('yellow', 'the answer was truncated; ask again with a higher --max-tokens'))
    }
  }

  #failedReduction(error: ManyAnswerJson['reduction_error']): void {
    this.#reductionError = error
    const { screen, json } = this.#context
    if (json) return
    this.stop()
    screen.printError(`cwm: the windows answered, but their answers could not be reduced: ${error?.message ?? ''}`)
  }

  #end(receipt: ManyAnswerJson['receipt']): void {
    this.#receipt = receipt
    const { screen, json } = this.#context
    if (json) return
    this.stop()
    for (const line of ['', ...formatManyReceipt(screen, receipt)]) screen.printError(line)
  }
}
