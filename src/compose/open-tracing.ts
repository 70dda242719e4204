// Starts the tracing of requests, if it is configured. Only then OpenTelemetry is loaded, which takes 0.1 s and 16 MB.

import type { RequestTracer } from '../base/request-trace.ts'
import type { Start } from './start.ts'
import type { Storage } from './storage.ts'

/** Undefined unless the setting `otlp_endpoint` is set. Spans that wait are sent when cwm closes. */
export async function openTracing(
  { settings, metrics, log, closers }: Start,
  { deriver }: Storage,
): Promise<RequestTracer | undefined> {
  const { otlp_endpoint: endpoint, otlp_headers: headers, trace_sample_ratio: sampleRatio } = settings
  if (endpoint === undefined) return undefined
  const { Tracing } = await import('../tracing/tracing.ts')
  const sessionHash = (tenant: string, session: string) => deriver.tracedSession(tenant, session)
  const tracing = new Tracing({ endpoint, headers, sampleRatio, sessionHash, spans: metrics.traceSpans, log })
  closers.add(() => tracing.close())
  return tracing
}
