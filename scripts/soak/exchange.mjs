// One request to the proxy and its complete response: status, headers, bytes, and whether it ended properly.

import { request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** How many bytes a slow client reads at a time, and its pause after them. */
const SLOW_BYTES = 256 * 1024
const SLOW_PAUSE_MS = 250

/**
 * Sends `body` and resolves when the exchange is over; never rejects. `leaveWhen` is called after each byte chunk of the response, with the bytes so
 * far; if it returns true, the client disconnects. `signal` makes it disconnect in any phase. `half`: disconnects after half of its body.
 */
export function exchange(url, { agent, method = 'POST', headers = {}, body = '', signal, leaveWhen, half, slow }) {
  const bytes = Buffer.from(body)
  return new Promise((resolve) => {
    const parts = []
    let response
    const settle = (rest) => {
      const { statusCode: status, headers: got } = response ?? {}
      resolve({
        status,
        headers: got ?? {},
        bytes: Buffer.concat(parts),
        complete: response?.complete === true,
        ...rest,
      })
    }
    const options = { agent, method, headers: { ...headers, 'content-length': bytes.length }, signal }
    const request = httpRequest(url, options, async (answer) => {
      response = answer
      answer.once('error', () => {})
      answer.once('close', () => settle({}))
      if (slow) return readSlowly(answer, parts)
      answer.on('data', (part) => {
        parts.push(part)
        if (leaveWhen?.(parts)) request.destroy()
      })
    })
    request.once('error', (error) => {
      // The server closed the connection while it was idle, which it may. Like any client, retry.
      const stale = request.reusedSocket && error.code === 'ECONNRESET' && response === undefined && !half
      if (stale) resolve(exchange(url, { agent, method, headers, body, signal, leaveWhen, slow }))
      else if (response === undefined) settle({ error })
    })
    if (half) request.write(bytes.subarray(0, bytes.length / 2), () => request.destroy())
    else request.end(bytes)
  })
}

async function readSlowly(answer, parts) {
  let unread = 0
  try {
    for await (const part of answer) {
      parts.push(part)
      unread += part.length
      if (unread < SLOW_BYTES) continue
      unread = 0
      await sleep(SLOW_PAUSE_MS)
    }
  } catch {
    // The response was aborted, which `complete` shows.
  }
}
