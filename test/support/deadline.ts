// Waiting in tests: on a promise, or until something is so; always with a deadline that says what did not come. It is long, since it
// costs time only where a test fails, and processors that have more to do than one test are no failure.

import { setTimeout as delay } from 'node:timers/promises'

const DEFAULT_MS = 20_000

/** The promise's value; rejects, naming what was waited for, when it does not settle in time. */
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

/** Looks again and again until `look` answers something other than undefined or false, and answers that. */
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
