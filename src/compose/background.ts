// What runs again and again while cwm runs, one run at a time. Failures are logged and end nothing.

import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'

export interface Task {
  readonly intervalMs: number
  /** Runs at once as well, not only after the first interval. */
  readonly atOnce?: boolean
  readonly run: (signal: AbortSignal) => Promise<unknown>
}

/** Runs a task until the signal; resolves when its last run is over. */
export async function every(
  { intervalMs, atOnce = false, run }: Task,
  signal: AbortSignal,
  log: Logger,
): Promise<void> {
  for (let first = true; !signal.aborted; first = false) {
    if (!first || atOnce) {
      try {
        await run(signal)
      } catch (thrown) {
        log.error({ err: toCwmError(thrown) }, 'a task in the background failed; it runs again')
      }
    }
    await sleep(intervalMs, signal)
  }
}

/** Resolves after that time, or at once when the signal aborts. Keeps no process alive. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    timer.unref()
    signal?.addEventListener('abort', done)
  })
}
