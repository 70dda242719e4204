// The trace of a request, as seen by the code that answers it: the phases that it reports. Tracing is off unless it is configured. Without
// it, each report is one check for undefined.

import { type CwmError, toCwmError } from './errors.ts'
import type { Usage } from './records.ts'

/** What a request may wait for before its dispatch: a slot, the size of its prompt, its window in the engine, or its window in LMCache. */
export type PhaseName = 'queue' | 'count' | 'thaw' | 'prefetch'

/** By their names in traces. Ids and numbers, never content. */
export type TraceAttributes = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

export interface TracePhase {
  /** Ends it, with the reason if it failed. Only the first call counts. */
  end(error?: CwmError, attributes?: TraceAttributes): void
}

/** What is known of a request once its response has closed. */
export interface TracedOutcome {
  readonly method: string
  /** A path without ids, or `other`. */
  readonly route: string
  /** 499 if the client disconnected first. */
  readonly status: number
  /** Undefined if it succeeded. */
  readonly code: string | undefined
  readonly tenant: string | undefined
  readonly session: string | undefined
  /** The operation by its name in the GenAI conventions; undefined if it is none of theirs. */
  readonly operation: string | undefined
  /** A served name, or `other`; empty if the request named none. */
  readonly model: string
  readonly streams: boolean | undefined
  /** Milliseconds from the dispatch. */
  readonly ttftMs: number | undefined
  /** As the engine reports it. */
  readonly usage: Usage | undefined
}

export interface RequestTrace {
  begin(phase: PhaseName): TracePhase
  /** The request goes to the engine now. Replaces the trace context in the headers (flat, in place), so that the engine's spans continue this trace. */
  dispatch(headers: string[]): void
  /** The first byte of the answer's body arrived. */
  began(): void
  /** The engine's answer ended, with the reason if it failed. */
  answered(error: CwmError | undefined): void
  /** The response closed. Ends whatever is still open. */
  close(outcome: TracedOutcome): void
}

/** Begins the trace of each request. */
export interface RequestTracer {
  /** Continues the client's trace, if its headers name one. */
  begin(headers: Readonly<Record<string, string | readonly string[] | undefined>>): RequestTrace
}

/** Runs work as a phase of the trace, if there is one. `attributes` describes the result. Throws what the work throws. */
export async function inPhase<T>(
  trace: RequestTrace | undefined,
  name: PhaseName,
  work: () => Promise<T>,
  attributes?: (result: T) => TraceAttributes,
): Promise<T> {
  if (trace === undefined) return await work()
  const phase = trace.begin(name)
  try {
    const result = await work()
    phase.end(undefined, attributes?.(result))
    return result
  } catch (error) {
    phase.end(toCwmError(error))
    throw error
  }
}
