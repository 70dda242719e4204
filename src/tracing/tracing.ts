// Tracing of requests by OpenTelemetry's SDK, exported as OTLP over HTTP. The only room with that library, and loaded only if the setting
// otlp_endpoint is set (decision 30). Nothing is registered globally: two cwm in one process do not interfere.

import { ROOT_CONTEXT, type TextMapGetter } from '@opentelemetry/api'
import { parseKeyPairsIntoRecord, W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import {
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Logger } from '../base/logger.ts'
import type { PlainCounters } from '../base/metrics-plain.ts'
import type { RequestTrace, RequestTracer } from '../base/request-trace.ts'
import { version } from '../base/version.ts'
import type { SessionHash } from './genai.ts'
import { RequestSpans, type SpanParts } from './request-spans.ts'
import { SpanQueue } from './span-queue.ts'

export interface TracingOptions {
  /** Of the collector. Spans go to its `/v1/traces`. */
  readonly endpoint: string
  /** `name=value` pairs, comma-separated; values are percent-decoded, as in OTEL_EXPORTER_OTLP_HEADERS. May hold a key. */
  readonly headers: string | undefined
  /** Share of traces that are recorded if the client does not say, from 0 to 1. */
  readonly sampleRatio: number
  readonly sessionHash: SessionHash
  readonly spans: Pick<PlainCounters, 'add'>
  readonly log: Logger
}

/** About 2 MB. The same as the SDK's own default. */
const MAX_WAITING = 2_048
const MAX_BATCH = 512
const DELAY_MS = 1_000
const FLUSH_MS = 2_000

type Headers = Parameters<RequestTracer['begin']>[0]

const headerGetter: TextMapGetter<Headers> = {
  keys: (headers) => Object.keys(headers),
  get: (headers, name) => headers[name] as string | string[] | undefined,
}

export class Tracing implements RequestTracer {
  readonly #provider: TracerProvider
  readonly #parts: SpanParts

  /** `exporter`: instead of one to the collector. */
  constructor(options: TracingOptions, exporter: SpanExporter = exporterOf(options)) {
    const { sampleRatio, sessionHash } = options
    this.#provider = new TracerProvider({
      sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(sampleRatio) }),
      resource: resourceFromAttributes({ 'service.name': 'cwm', 'service.version': version }).merge(
        detectResources({ detectors: [envDetector] }),
      ),
      spanProcessors: [queueOf(options, exporter)],
    })
    const tracer = this.#provider.getTracer('cwm', version)
    this.#parts = { tracer, propagator: new W3CTraceContextPropagator(), sessionHash }
  }

  begin(headers: Headers): RequestTrace {
    return new RequestSpans(this.#parts, this.#parts.propagator.extract(ROOT_CONTEXT, headers, headerGetter))
  }

  /** Sends what waits, for at most two seconds. Never rejects. */
  async close(): Promise<void> {
    await this.#provider.shutdown()
  }
}

function exporterOf({ endpoint, headers }: TracingOptions): SpanExporter {
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`
  return new OTLPTraceExporter({ url, headers: headers === undefined ? {} : parseKeyPairsIntoRecord(headers) })
}

function queueOf({ endpoint, spans, log }: TracingOptions, exporter: SpanExporter): SpanQueue {
  return new SpanQueue(exporter, {
    maxWaiting: MAX_WAITING,
    maxBatch: MAX_BATCH,
    delayMs: DELAY_MS,
    flushMs: FLUSH_MS,
    onOutcome: (outcome, count) => spans.add(count, outcome),
    onFailure: (error) =>
      log.warn(
        { collector: new URL(endpoint).host, err: error },
        'spans could not be sent (setting otlp_endpoint); is the collector running?',
      ),
  })
}
