// Reads the usage of answers that are passed on unread: embeddings, scores. They may contain megabytes of numbers, so only small answers are
// kept whole; of larger ones only the end, where engines usually put the usage.

import type { CwmError } from '../base/errors.ts'
import { isObject, parseJson } from '../base/json.ts'
import type { Usage } from '../base/records.ts'
import { chatUsage, readOpenAiUsage } from '../dialects/openai-usage.ts'
import type { AnswerControl, AnswerSink } from '../engines/engine.ts'

const WHOLE_BYTES = 16 * 1024
const END_BYTES = 1024

/** The last member of a whole object. A member of an inner object would be followed by more than one bracket. */
const lastMember = /"usage":\s*(\{[^{}]*(?:\{[^{}]*\}[^{}]*)*\})\s*\}\s*$/

export class UsagePeek {
  #seen: Buffer[] = []
  #bytes = 0
  #isWhole = true

  add(bytes: Buffer): void {
    this.#bytes += bytes.length
    this.#seen.push(bytes)
    if (this.#bytes <= WHOLE_BYTES) return
    this.#isWhole = false
    const last = bytes.length >= END_BYTES ? bytes : Buffer.concat(this.#seen)
    // A copy, so that the end does not keep all of the bytes in memory.
    this.#seen = [Buffer.from(last.subarray(-END_BYTES))]
    this.#bytes = WHOLE_BYTES
  }

  /** Undefined if the answer has none, or not where it is looked for. */
  read(): Usage | undefined {
    const text = Buffer.concat(this.#seen).toString('utf8')
    const value = this.#isWhole ? usageIn(text) : parseJson(lastMember.exec(text)?.[1] ?? '')
    return isObject(value) ? readOpenAiUsage(value, chatUsage) : undefined
  }
}

/** Passes an answer on, and reports its usage. */
export class MeteredAnswer implements AnswerSink {
  readonly #sink: AnswerSink
  readonly #onUsage: (usage: Usage) => void
  #peek: UsagePeek | undefined

  constructor(sink: AnswerSink, onUsage: (usage: Usage) => void) {
    this.#sink = sink
    this.#onUsage = onUsage
  }

  onStart(control: AnswerControl): void {
    this.#sink.onStart(control)
  }

  onHeaders(status: number, rawHeaders: readonly Buffer[], statusText: string): void {
    if (status === 200) this.#peek = new UsagePeek()
    this.#sink.onHeaders(status, rawHeaders, statusText)
  }

  onData(bytes: Buffer): void {
    this.#sink.onData(bytes)
    this.#peek?.add(bytes)
  }

  onEnd(): void {
    const usage = this.#peek?.read()
    if (usage !== undefined) this.#onUsage(usage)
    this.#sink.onEnd()
  }

  onError(error: CwmError): void {
    this.#sink.onError(error)
  }
}

function usageIn(text: string): unknown {
  const answer = parseJson(text)
  return isObject(answer) ? answer.usage : undefined
}
