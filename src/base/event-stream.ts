// What all answers that are server-sent events have in common.

import type { ServerResponse } from 'node:http'

/** Interval of comments. Proxies and browsers close connections that are silent for a minute or less. */
export const HEARTBEAT_MS = 15_000

/** `x-accel-buffering` keeps nginx from collecting events. */
export const eventStreamHeaders = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
}

/** Aborts when the client leaves, or once it has its answer. */
export function closeSignal(response: Pick<ServerResponse, 'once' | 'destroyed'>): AbortSignal {
  const closed = new AbortController()
  response.once('close', () => closed.abort())
  if (response.destroyed) closed.abort()
  return closed.signal
}
