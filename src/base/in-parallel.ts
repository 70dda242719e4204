// Runs work on many items, a few at a time.

/** Returns the results in the order of the items. After an error nothing more is started; rejects with it once all started work has ended. */
export async function inParallel<T, R>(
  items: readonly T[],
  atMost: number,
  work: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = []
  let next = 0
  let failed = false
  const worker = async () => {
    while (next < items.length && !failed) {
      const n = next++
      try {
        results[n] = await work(items[n] as T)
      } catch (thrown) {
        failed = true
        throw thrown
      }
    }
  }
  const ended = await Promise.allSettled(Array.from({ length: Math.min(atMost, items.length) }, worker))
  for (const one of ended) if (one.status === 'rejected') throw one.reason
  return results
}
