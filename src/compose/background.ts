// Periodic background tasks. Runs of a task do not overlap; failures are logged, and the task continues.

import { toCwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'

export interface Task {
  readonly intervalMs: number
  /** Whether to run once immediately, before the first interval. */
  readonly atOnce?: boolean
  readonly run: (signal: AbortSignal) => Promise<unknown>
}

/** Runs a task until the signal aborts. Resolves when its last run has finished. */
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
        log.error({ err: toCwmError(thrown) }, 'a background task failed; it will run again')
      }
    }
    await sleep(intervalMs, signal)
  }
}

/** Resolves after `ms`, or at once when the signal aborts. Does not keep the process alive. */
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
