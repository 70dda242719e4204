// Yields to other requests between two pieces of work for one large body.

/** Smaller bodies are finished quickly, however many values they contain. */
const LARGE_BYTES = 256 * 1024

/** Resolves one iteration of the event loop later; undefined after a small body, when there is no need to wait. */
export function yieldAfter(bytes: Buffer): Promise<void> | undefined {
  if (bytes.length < LARGE_BYTES) return undefined
  return new Promise((resolve) => setImmediate(resolve))
}
