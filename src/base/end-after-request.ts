// Ends an answer that was sent before its request was complete.

import type { ServerResponse } from 'node:http'
import { ReadingPace } from './pace-reading.ts'

/** How long the rest of a rejected request is read and discarded, so that the client can read the answer. */
const DISCARD_MS = 5_000

/**
 * Ends an answer, whose body is written, once its request has been read completely or for 5 s. Node then closes the connection. If the
 * client were still sending, that would cause a reset, and the answer would be lost.
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
  const pace = new ReadingPace(req)
  req.on('data', (chunk: Buffer) => pace.count(chunk.length))
  req.resume()
}
