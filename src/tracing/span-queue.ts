// Finished spans on their way to the collector. Bounded, and sent in the background: a collector that is slow or down costs spans, never a
// request.

import type { ExportResult } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace'

export type SpanOutcome = 'sent' | 'failed' | 'dropped'

export interface SpanQueueOptions {
  /** Maximum spans that wait. One more is dropped. */
  readonly maxWaiting: number
  /** Maximum spans in one export. */
  readonly maxBatch: number
  /** How long a span waits for others, milliseconds. */
  readonly delayMs: number
  /** How long `shutdown` waits for the last exports, milliseconds. */
  readonly flushMs: number
  /** `dropped`: the queue was full, or cwm stopped. `failed`: the collector did not take them. */
  readonly onOutcome: (outcome: SpanOutcome, spans: number) => void
  /** The first failure after a success. */
  readonly onFailure: (error: Error | undefined) => void
}

/** 0 of the SDK's `ExportResultCode`, which is an enum and would need an import at run time. */
const SUCCESS = 0
const SAMPLED = 1

export class SpanQueue implements SpanProcessor {
  readonly #exporter: SpanExporter
  readonly #options: SpanQueueOptions
  #waiting: ReadableSpan[] = []
  #timer: NodeJS.Timeout | undefined
  /** The export in progress. One at a time, so a slow collector holds one batch and the queue. */
  #sending: Promise<void> | undefined
  #failing = false
  #closed = false

  constructor(exporter: SpanExporter, options: SpanQueueOptions) {
    this.#exporter = exporter
    this.#options = options
  }

  onStart(): void {}

  onEnd(span: ReadableSpan): void {
    if ((span.spanContext().traceFlags & SAMPLED) === 0) return
    const { maxWaiting, maxBatch, delayMs, onOutcome } = this.#options
    if (this.#closed || this.#waiting.length >= maxWaiting) {
      onOutcome('dropped', 1)
      return
    }
    this.#waiting.push(span)
    if (this.#sending !== undefined) return
    if (this.#waiting.length >= maxBatch) this.#send()
    else this.#timer ??= setTimeout(() => this.#send(), delayMs).unref()
  }

  /** Resolves when nothing waits any longer. Never rejects. */
  async forceFlush(): Promise<void> {
    while (this.#sending !== undefined || this.#waiting.length > 0) {
      if (this.#sending === undefined) this.#send()
      await this.#sending
    }
  }

  /** Sends what waits, for at most `flushMs`. What is not sent by then is dropped. Never rejects. */
  async shutdown(): Promise<void> {
    const { flushMs, onOutcome } = this.#options
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, flushMs)
    })
    await Promise.race([this.forceFlush(), late])
    clearTimeout(timer)
    clearTimeout(this.#timer)
    this.#closed = true
    if (this.#waiting.length > 0) onOutcome('dropped', this.#waiting.length)
    this.#waiting = []
    // Closes its sockets. It waits for its own exports first, which may take longer than anyone waits here.
    void this.#exporter.shutdown().catch(() => {})
  }

  #send(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const batch = this.#waiting.splice(0, this.#options.maxBatch)
    this.#sending = this.#export(batch).then((result) => {
      this.#sending = undefined
      this.#report(result, batch.length)
      if (this.#waiting.length > 0 && !this.#closed) this.#send()
    })
  }

  #export(batch: ReadableSpan[]): Promise<ExportResult> {
    return new Promise((resolve) => {
      try {
        this.#exporter.export(batch, resolve)
      } catch (thrown) {
        resolve({ code: 1, error: thrown instanceof Error ? thrown : new Error(String(thrown)) })
      }
    })
  }

  #report({ code, error }: ExportResult, spans: number): void {
    const { onOutcome, onFailure } = this.#options
    const failed = code !== SUCCESS
    onOutcome(failed ? 'failed' : 'sent', spans)
    if (failed && !this.#failing) onFailure(error)
    this.#failing = failed
  }
}
