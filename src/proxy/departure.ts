// A client that leaves: noticed in every phase, told once.

import type { ServerResponse } from 'node:http'

/** Calls back once, when the connection is closed or if it is already. */
export function onClose(response: ServerResponse, done: () => void): void {
  if (response.destroyed) done()
  else response.once('close', done)
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
