// Lets a caller stop waiting for work that others may still need.

/** Settles with the work or, with the signal's reason, on abort, whichever is first. A late result is dropped. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => reject(signal.reason)
    const leave = () => signal.removeEventListener('abort', end)
    // Also handles the rejection of work that comes too late.
    work.finally(leave).then(resolve, reject)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
}
