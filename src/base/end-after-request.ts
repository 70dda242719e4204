// The end of an answer that came before its request was whole.

import type { ServerResponse } from 'node:http'

/** How long what a refused client still sends is read and thrown away, so that it gets to read the answer. */
const DISCARD_MS = 5_000

/**
 * Ends an answer whose body is written once its request is read to the end, or was for 5 s. At the end Node closes the
 * connection: under a client that still sends that would be a reset, which takes the answer along.
 */
export function endAfterRequest(response: ServerResponse): void {
  const { req } = response
  const end = () => {
    clearTimeout(timer)
    response.end()
  }
  const timer = setTimeout(end, DISCARD_MS)
  req.once('end', end)
  req.once('close', end)
  req.resume()
}
