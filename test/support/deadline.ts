// Waiting in tests: for a promise or a condition, always with a deadline and a label. The deadline is long: it costs time only
// when a test fails, and a busy machine is not a failure.

import { setTimeout as delay } from 'node:timers/promises'

const DEFAULT_MS = 20_000

/** Resolves with the promise's value, or rejects with the label if it does not settle in time. */
export async function within<T>(label: string, promise: Promise<T>, ms = DEFAULT_MS): Promise<T> {
  const stop = new AbortController()
  const late = delay(ms, undefined, { signal: stop.signal }).then(
    () => {
      throw new Error(`not within ${ms} ms: ${label}`)
    },
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    stop.abort()
  }
}

/** Polls until `look` returns something other than undefined or false, and returns that. */
export async function until<T>(
  label: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  ms = DEFAULT_MS,
): Promise<T> {
  const end = Date.now() + ms
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${label}`)
    await delay(5)
  }
}
