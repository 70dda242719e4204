// What ends the process: a first SIGINT or SIGTERM in order, a second one at once, and at once as well a fault that nobody caught.

import { constants } from 'node:os'
import type { Logger } from '../base/logger.ts'

/** Aborts at the first SIGINT or SIGTERM. A second one, of either kind, ends the process at once, with 130 or 143. */
export function stopSignal(): AbortSignal {
  const stop = new AbortController()
  const onSignal = (signal: 'SIGINT' | 'SIGTERM') => {
    if (stop.signal.aborted) process.exit(128 + constants.signals[signal])
    stop.abort()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  return stop.signal
}

/** Resolves once it aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/**
 * Ends the process, with 1, at an exception or a rejection that nobody caught. It is not drained first: nobody knows what is still right
 * in it, and what it cut off the reconciler mends at the next start.
 */
export function exitOnFault(log: Logger): void {
  process.on('uncaughtException', (err, origin) => {
    log.error({ err, origin }, 'a fault that nobody caught: cwm ends, and is to be started again')
    process.exit(1)
  })
}
