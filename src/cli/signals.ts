// What ends the process: a first SIGINT or SIGTERM gracefully, a second one at once, and an uncaught exception at once. What a SIGHUP does.

import { constants } from 'node:os'
import type { Logger } from '../base/logger.ts'

/** Aborts on the first SIGINT or SIGTERM. A second one, of either kind, exits at once with 130 or 143. */
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

interface Streams {
  readonly stdin: { readonly isTTY?: boolean }
  readonly stdout: { readonly isTTY?: boolean }
  readonly stderr: { readonly isTTY?: boolean }
}

/** A process on a terminal gets SIGHUP when the terminal closes. */
export function isOnTerminal({ stdin, stdout, stderr }: Streams): boolean {
  return [stdin, stdout, stderr].some(({ isTTY }) => isTTY === true)
}

/**
 * Handles SIGHUP from its construction on, so that one during startup does not end the process but is kept until there is a handler. On a
 * terminal nothing is handled, and the signal ends the process, as by default.
 */
export class Hangups {
  #pending = false
  #onHangup = () => {
    this.#pending = true
  }

  constructor(of: Streams & { on(signal: 'SIGHUP', listener: () => void): unknown } = process) {
    if (!isOnTerminal(of)) of.on('SIGHUP', () => this.#onHangup())
  }

  handle(onHangup: () => void): void {
    this.#onHangup = onHangup
    if (this.#pending) onHangup()
  }
}

/** Resolves when the signal aborts. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/**
 * Exits with 1 on an uncaught exception or rejection. It does not drain first, because the state of the process is unknown. The reconciler
 * repairs what was interrupted at the next start.
 */
export function exitOnFault(log: Logger): void {
  process.on('uncaughtException', (err, origin) => {
    log.error({ err, origin }, 'uncaught exception; cwm exits and must be restarted')
    process.exit(1)
  })
}
