// Shuts down a running cwm in order: load balancers turn away, current responses and freezes finish, and the rest is visibly aborted.
// This ends at most a few seconds after `drain_delay_ms` plus `drain_ms`, so that operators know how long to wait.

import { CwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { EngineFleet } from '../engines/fleet.ts'
import type { RunningServer } from './server.ts'

export interface ShutdownParts {
  readonly server: RunningServer
  readonly fleet: Pick<EngineFleet, 'end'>
  /** Rejects whatever still waits for a slot when the time to drain is over. */
  readonly endWaits: (error: CwmError) => void
  /** How long new connections are still accepted. */
  readonly drainDelayMs: number
  /** How long current responses and freezes may take to finish. */
  readonly drainMs: number
  /** Ends what does not end on its own: event streams and background tasks. */
  readonly stopLongRunning: () => void
  /** Resolves when current freezes and tasks have finished. */
  readonly settle: () => Promise<unknown>
  readonly log: Logger
}

/** Time for the final error events of aborted responses to be sent. */
const FLUSH_MS = 2_500
/** Time for freezes that have lost their engine to fail, and to release pin and name. */
const SETTLE_MS = 5_000

/** Resolves when all responses have ended, and freezes and tasks have finished or timed out. */
export async function shutDown(parts: ShutdownParts): Promise<void> {
  const { server, fleet, endWaits, drainDelayMs, drainMs, log } = parts
  log.info({ drainDelayMs, drainMs }, 'stopping')
  server.drain()
  if (drainDelayMs > 0) await atMost(drainDelayMs, new Promise(() => {}))
  parts.stopLongRunning()
  const answered = server.close()
  const settled = answered.then(parts.settle)
  await atMost(drainMs, settled)
  const late = new CwmError(
    'SHUTTING_DOWN',
    'cwm is shutting down, and this request did not finish in time (setting drain_ms); try again',
  )
  endWaits(late)
  const broken = fleet.end(late)
  await atMost(FLUSH_MS, answered)
  const left = server.breakAll()
  if (broken + left > 0) log.warn({ broken, left }, 'aborted the requests and connections that did not finish in time')
  await atMost(SETTLE_MS, settled)
}

/** Waits for `work`, but not longer than `ms`. Unlike `sleep`, its timer keeps the process alive, which `work` may not. */
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
