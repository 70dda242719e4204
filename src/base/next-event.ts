// Waiting for an event that may never come.

import type { EventEmitter } from 'node:events'

/** Resolves at the next event of this name, when the signal aborts, or after `atMostMs`. Nothing listens any longer then. */
export function nextEvent(
  emitter: Pick<EventEmitter, 'once' | 'off'>,
  name: string,
  signal: AbortSignal,
  atMostMs?: number,
): Promise<void> {
  return new Promise((resolve) => {
    const timer = atMostMs === undefined ? undefined : setTimeout(end, atMostMs)
    function end(): void {
      clearTimeout(timer)
      emitter.off(name, end)
      signal.removeEventListener('abort', end)
      resolve()
    }
    emitter.once(name, end)
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
  })
}
