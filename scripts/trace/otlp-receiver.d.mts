import type { IncomingHttpHeaders } from 'node:http'

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  /** Absent or empty for the first span of a trace. */
  readonly parentSpanId: string | undefined
  readonly name: string
  /** 1: internal, 2: server, 3: client. */
  readonly kind: number
  readonly startMs: number
  readonly endMs: number
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  readonly failed: boolean
  readonly resource: Readonly<Record<string, string | number | boolean>>
}

export interface OtlpReceiver {
  /** Without `/v1/traces`. */
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
  readonly requests: readonly { readonly path: string; readonly headers: IncomingHttpHeaders; readonly text: string }[]
  close(): Promise<void>
}

export function startOtlpReceiver(options?: { readonly status?: number }): Promise<OtlpReceiver>
