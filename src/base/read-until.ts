// Waits for stored state that this process, or another one with the same store, is changing.

import type { EventEmitter } from 'node:events'
import { nextEvent } from './next-event.ts'

/** Poll interval when another process may be the one that changes the state. */
const POLL_MS = 200

export interface StateWait {
  /** Emits `key` after each change that this process makes. */
  readonly changed: EventEmitter
  readonly key: string
  /** Whether other processes may change the state. */
  readonly isShared: boolean
  /** Longest wait, milliseconds. */
  readonly waitMs: number
  /** Aborting ends the wait. */
  readonly signal?: AbortSignal | undefined
}

/** Reads the state until it is settled or the wait ends. Returns what it read last. Throws what `read` throws. */
export async function readUntil<T>(
  read: () => Promise<T>,
  isSettled: (state: T) => boolean,
  { changed, key, isShared, waitMs, signal }: StateWait,
): Promise<T> {
  const over = new AbortController()
  const end = () => over.abort()
  const timer = setTimeout(end, waitMs)
  signal?.addEventListener('abort', end)
  try {
    for (;;) {
      // Subscribes before reading, so that no change is missed in between.
      const change = nextEvent(changed, key, over.signal, isShared ? POLL_MS : undefined)
      const state = await read()
      if (over.signal.aborted || isSettled(state)) return state
      await change
    }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', end)
    // Also removes the listener: settled state may not change again.
    end()
  }
}
