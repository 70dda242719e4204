// Between two pieces of work for one large body, everybody else has a turn.

/** Smaller bodies are over before anybody notices, however many values they hold. */
const LARGE_BYTES = 256 * 1024

/** One round of the event loop later; undefined, so nothing to wait for, after a body that is small. */
export function nextRoundAfter(bytes: Buffer): Promise<void> | undefined {
  if (bytes.length < LARGE_BYTES) return undefined
  return new Promise((resolve) => setImmediate(resolve))
}
