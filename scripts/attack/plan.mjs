// An attack as a plan that mutations can change, and its serialization to bytes.

import { TAG_HEADER, tagOf } from './tag.mjs'

/**
 * `who`: `{ id, owner, session }`. Besides the request itself, a plan contains:
 * `refused`: the response must be a 4xx, and nothing may arrive at the engine. `broken`: not valid HTTP, so cwm may close the connection
 * without a response. `leaves`: the client disconnects before a response. `answers`: how many to wait for. `tail`: bytes after the request. `twin`: a second
 * plan sent right after it.
 * `bodyBytes`: decompressed size of the body. `salted`: a body on a path that gets a salt.
 */
export function newPlan(who, { method = 'POST', target, headers = [], body, salted = false }) {
  return {
    ...{ who, method, target, version: 'HTTP/1.1', host: undefined, headers: [...headers], body, salted },
    ...{ framing: body === undefined ? 'none' : 'length', chunk: undefined, rawHead: undefined, tail: undefined },
    ...{ delivery: { kind: 'whole' }, answers: 1, notes: [] },
    ...{ refused: false, broken: false, leaves: false, bodyBytes: body?.length ?? 0, expect: undefined },
  }
}

/** Whether the plan already has the header `name`. */
export const hasHeader = (plan, name) => plan.headers.some(([given]) => given.toLowerCase() === name)

/** The bytes of a plan, sent to `port`. */
export function bytesOf(plan, port) {
  const tag = tagOf({ ...plan.who, refused: plan.refused })
  const host = plan.host === undefined ? `127.0.0.1:${port}` : plan.host
  const lines = [
    `${plan.method} ${plan.target.replace('{port}', String(port))} ${plan.version}`,
    ...(host === null ? [] : [`Host: ${host}`]),
    `${TAG_HEADER}: ${tag}`,
    ...(hasHeader(plan, 'x-request-id') ? [] : [`X-Request-Id: ${plan.who.id}`]),
    ...plan.headers.map(([name, value]) => `${name}: ${value}`),
  ]
  const body = plan.body ?? Buffer.alloc(0)
  if (plan.framing === 'length') lines.push(`Content-Length: ${body.length}`)
  if (plan.framing === 'chunked') lines.push('Transfer-Encoding: chunked')
  const eol = plan.eol ?? '\r\n'
  const head = Buffer.from(`${lines.join(eol)}${eol}${eol}`, 'latin1')
  const framed = plan.framing === 'chunked' ? chunked(body, plan.chunk ?? {}) : body
  const twin = plan.twin === undefined ? [] : [bytesOf(plan.twin, port)]
  return Buffer.concat([head, framed, ...twin, plan.tail ?? Buffer.alloc(0)])
}

/** `sizes`: chunk sizes, the last one repeated. `extension`: text after each size. `trailers`: lines at the end. `end`: replaces the last chunk. */
function chunked(body, { sizes = [4096], extension = '', trailers = [], end }) {
  const parts = []
  for (let at = 0, n = 0; at < body.length; n++) {
    const size = Math.max(1, sizes[Math.min(n, sizes.length - 1)])
    const part = body.subarray(at, at + size)
    parts.push(Buffer.from(`${part.length.toString(16)}${extension}\r\n`), part, Buffer.from('\r\n'))
    at += part.length
  }
  parts.push(Buffer.from(end ?? `0\r\n${trailers.map((line) => `${line}\r\n`).join('')}\r\n`))
  return Buffer.concat(parts)
}
