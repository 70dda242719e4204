import type { ExportResult } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type SpanOutcome, SpanQueue, type SpanQueueOptions } from './span-queue.ts'

const span = (traceFlags = 1) => ({ spanContext: () => ({ traceFlags }) }) as unknown as ReadableSpan

/** An exporter whose exports end when the test says so. */
class HeldExporter implements SpanExporter {
  readonly batches: number[] = []
  readonly #ends: ((result: ExportResult) => void)[] = []
  isShutDown = false

  export(spans: ReadableSpan[], end: (result: ExportResult) => void): void {
    this.batches.push(spans.length)
    this.#ends.push(end)
  }

  end(result: ExportResult = { code: 0 }): void {
    this.#ends.shift()?.(result)
  }

  async shutdown(): Promise<void> {
    this.isShutDown = true
  }
}

let exporter: HeldExporter
let outcomes: Record<SpanOutcome, number>
let failures: (Error | undefined)[]

function queueOf(options: Partial<SpanQueueOptions> = {}): SpanQueue {
  return new SpanQueue(exporter, {
    maxWaiting: 3,
    maxBatch: 2,
    delayMs: 100,
    flushMs: 1_000,
    onOutcome: (outcome, spans) => {
      outcomes[outcome] += spans
    },
    onFailure: (error) => failures.push(error),
    ...options,
  })
}

function add(queue: SpanQueue, count: number): void {
  for (let i = 0; i < count; i++) queue.onEnd(span())
}

beforeEach(() => {
  vi.useFakeTimers()
  exporter = new HeldExporter()
  outcomes = { sent: 0, failed: 0, dropped: 0 }
  failures = []
})

afterEach(() => {
  vi.useRealTimers()
})

/** Lets the promises of a finished export continue. */
const settle = () => vi.advanceTimersByTimeAsync(0)

describe('SpanQueue', () => {
  it('sends a span after the delay, and a full batch at once', async () => {
    const queue = queueOf()
    add(queue, 1)
    expect(exporter.batches).toEqual([])
    await vi.advanceTimersByTimeAsync(100)
    expect(exporter.batches).toEqual([1])
    exporter.end()
    await settle()

    add(queue, 2)

    expect(exporter.batches).toEqual([1, 2])
  })

  it('leaves out spans that are not sampled', async () => {
    queueOf().onEnd(span(0))

    await vi.advanceTimersByTimeAsync(1_000)

    expect(exporter.batches).toEqual([])
  })

  it('sends one batch at a time, and drops and counts what does not fit', async () => {
    const queue = queueOf()

    add(queue, 2 + 3 + 4)

    expect(exporter.batches).toEqual([2])
    expect(outcomes).toEqual({ sent: 0, failed: 0, dropped: 4 })
    exporter.end()
    await settle()
    expect(exporter.batches).toEqual([2, 2])
    expect(outcomes).toEqual({ sent: 2, failed: 0, dropped: 4 })
  })

  it('counts what the collector refuses, and reports the first failure of a row', async () => {
    const queue = queueOf()
    const refused = new Error('400')
    for (const result of [{ code: 1, error: refused }, { code: 1, error: refused }, { code: 0 }, { code: 1 }]) {
      add(queue, 2)
      exporter.end(result)
      await settle()
    }

    expect(outcomes).toEqual({ sent: 2, failed: 6, dropped: 0 })
    expect(failures).toEqual([refused, undefined])
  })

  it('counts as failed what an exporter throws at', async () => {
    exporter.export = () => {
      throw new Error('broken')
    }
    add(queueOf(), 2)
    await settle()

    expect(outcomes).toEqual({ sent: 0, failed: 2, dropped: 0 })
  })

  it('sends what waits before it shuts down', async () => {
    const queue = queueOf()
    add(queue, 1)

    const closed = queue.shutdown()
    exporter.end()
    await closed

    expect(outcomes).toEqual({ sent: 1, failed: 0, dropped: 0 })
    expect(exporter.isShutDown).toBe(true)
  })

  it('shuts down in time without a collector that answers, and drops what is left', async () => {
    const queue = queueOf()
    add(queue, 3)

    const closed = queue.shutdown()
    await vi.advanceTimersByTimeAsync(1_000)
    await closed
    queue.onEnd(span())

    expect(outcomes).toEqual({ sent: 0, failed: 0, dropped: 2 })
    expect(vi.getTimerCount()).toBe(0)
  })
})
