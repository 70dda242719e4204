// The spans of one request: one for the request, and a child for each phase. The engine's own span becomes a child of the wait for it
// (docs/engine-behavior.md#trace-context).

import {
  type Attributes,
  type Context,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { W3CTraceContextPropagator } from '@opentelemetry/core'
import type { CwmError } from '../base/errors.ts'
import type { PhaseName, RequestTrace, TraceAttributes, TracedOutcome, TracePhase } from '../base/request-trace.ts'
import { attributesOf, type SessionHash, spanNameOf } from './genai.ts'

export interface SpanParts {
  readonly tracer: Tracer
  readonly propagator: W3CTraceContextPropagator
  readonly sessionHash: SessionHash
}

/** Until `close` names it, when the model is known. */
const UNNAMED = 'request'

const contextHeaders: ReadonlySet<string> = new Set(['traceparent', 'tracestate'])
const pushHeader = { set: (headers: string[], name: string, value: string) => void headers.push(name, value) }

export class RequestSpans implements RequestTrace {
  readonly #parts: SpanParts
  readonly #span: Span
  readonly #context: Context
  /** Bounded by the phases of a request. */
  readonly #open = new Set<Phase>()
  /** Of the engine's answer: first the wait for it, then its stream. */
  #answer: Phase | undefined

  /** `parent` holds the client's span, if it sent one. */
  constructor(parts: SpanParts, parent: Context) {
    this.#parts = parts
    this.#span = parts.tracer.startSpan(UNNAMED, { kind: SpanKind.SERVER }, parent)
    this.#context = trace.setSpan(parent, this.#span)
  }

  begin(name: PhaseName): TracePhase {
    return this.#begin(name, SpanKind.INTERNAL)
  }

  dispatch(headers: string[]): void {
    this.#answer = this.#begin('upstream wait', SpanKind.CLIENT)
    removeContext(headers)
    this.#parts.propagator.inject(trace.setSpan(this.#context, this.#answer.span), headers, pushHeader)
  }

  began(): void {
    this.#answer?.end()
    this.#answer = this.#begin('stream', SpanKind.INTERNAL)
  }

  answered(error: CwmError | undefined): void {
    this.#answer?.end(error)
  }

  close(outcome: TracedOutcome): void {
    const { code } = outcome
    for (const phase of [...this.#open]) phase.fail(code)
    this.#span.updateName(spanNameOf(outcome))
    this.#span.setAttributes(attributesOf(outcome, this.#parts.sessionHash))
    // A client's mistake is no error of the server that reports it: so the conventions for HTTP servers.
    if (outcome.status >= 500) this.#span.setStatus({ code: SpanStatusCode.ERROR })
    this.#span.end()
  }

  #begin(name: PhaseName | 'upstream wait' | 'stream', kind: SpanKind): Phase {
    const span = this.#parts.tracer.startSpan(name, { kind }, this.#context)
    const phase = new Phase(span, () => this.#open.delete(phase))
    this.#open.add(phase)
    return phase
  }
}

class Phase implements TracePhase {
  readonly span: Span
  readonly #onEnd: () => void
  #ended = false

  constructor(span: Span, onEnd: () => void) {
    this.span = span
    this.#onEnd = onEnd
  }

  end(error?: CwmError, attributes?: TraceAttributes): void {
    if (this.#ended) return
    if (attributes !== undefined) this.span.setAttributes(attributes as Attributes)
    if (error === undefined) this.#finish()
    else this.fail(error.code)
  }

  /** Ends it as interrupted: by an error, or because the client left. */
  fail(code: string | undefined): void {
    if (this.#ended) return
    if (code !== undefined) {
      this.span.setAttribute('error.type', code.toLowerCase())
      this.span.setStatus({ code: SpanStatusCode.ERROR })
    }
    this.#finish()
  }

  #finish(): void {
    this.#ended = true
    this.span.end()
    this.#onEnd()
  }
}

function removeContext(headers: string[]): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (contextHeaders.has((headers[i] ?? '').toLowerCase())) headers.splice(i, 2)
  }
}
