// A client that leaves: noticed in every phase, told once.

import type { ServerResponse } from 'node:http'

/** Takes what is to be done when a response is closed. A list that is run then costs less than a listener for each. */
export interface Closing {
  push(done: () => void): unknown
}

/** Resolves once the connection is closed; never rejects. */
export function closed(response: ServerResponse): Promise<void> {
  return response.destroyed ? Promise.resolve() : new Promise((resolve) => response.once('close', resolve))
}

/** Aborted when the client leaves before it has its answer. */
export function departureOf(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.once('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  if (response.destroyed) controller.abort()
  return controller.signal
}
