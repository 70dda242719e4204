/**
 * The answer, or the error after `ms` milliseconds; a later answer is ignored. A process that was stalled runs its timers before it reads its
 * sockets, so an expired timer lets it read once more: an answer that has arrived counts.
 */
export async function answerWithin<T>(answer: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let lastLook: NodeJS.Immediate | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      // Immediates run after the poll for I/O: https://nodejs.org/en/learn/asynchronous-work/event-loop-timers-and-nexttick
      lastLook = setImmediate(() => reject(late()))
    }, ms)
  })
  try {
    return await Promise.race([answer, expired])
  } finally {
    clearTimeout(timer)
    clearImmediate(lastLook)
  }
}
