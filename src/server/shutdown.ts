// The end of a running cwm, in order: load balancers turn away, answers and freezes under way end, what is left is broken truthfully.
// All of it is over a few seconds after `drain_delay_ms` and `drain_ms`, so that whoever stops cwm can be told how long to wait.

import { CwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { GuardedUpstream } from '../engines/guarded-upstream.ts'
import type { RunningServer } from './server.ts'

export interface ShutdownParts {
  readonly server: RunningServer
  readonly upstream: Pick<GuardedUpstream, 'end'>
  /** For which connections are still accepted. */
  readonly drainDelayMs: number
  /** For answers and freezes under way, together. */
  readonly drainMs: number
  /** Ends what has no end of its own: streams of events, tasks in the background. */
  readonly stopLongRunning: () => void
  /** Resolves when freezes and tasks under way are over. */
  readonly settle: () => Promise<unknown>
  readonly log: Logger
}

/** For the last words of broken answers to leave. */
const FLUSH_MS = 2_500
/** For freezes that have lost their engine to fail, and to give back pin and name. */
const SETTLE_MS = 5_000

/** Resolves when nobody is answered any more, and freezes and tasks are over or have had their time. */
export async function shutDown(parts: ShutdownParts): Promise<void> {
  const { server, upstream, drainDelayMs, drainMs, log } = parts
  log.info({ drainDelayMs, drainMs }, 'stopping')
  server.drain()
  if (drainDelayMs > 0) await atMost(drainDelayMs, new Promise(() => {}))
  parts.stopLongRunning()
  const answered = server.close()
  const over = answered.then(parts.settle)
  await atMost(drainMs, over)
  const broken = upstream.end(
    new CwmError('SHUTTING_DOWN', 'cwm is being stopped, and this did not end in time (drain_ms); send it again'),
  )
  await atMost(FLUSH_MS, answered)
  const left = server.breakAll()
  if (broken + left > 0) log.warn({ broken, left }, 'what did not end in time was broken')
  await atMost(SETTLE_MS, over)
}

/** Unlike `sleep`, its timer keeps the process alive: what is waited for may not. */
async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, ms)
  })
  try {
    await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}
