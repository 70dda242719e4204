// One attack as a plan that can be read and changed, and the bytes that it becomes.

import { TAG_HEADER, tagOf } from './tag.mjs'

/**
 * `who`: `{ id, owner, session }`. What a plan says beside the request itself:
 * `refused`: the answer is a 4xx and nothing arrives at the engine. `broken`: not HTTP, so that the connection may be closed without an
 * answer. `leaves`: the client goes before it could have one. `answers`: how many are waited for. `tail`: bytes behind the request. `twin`: a second
 * plan sent right behind it.
 * `bodyBytes`: size of the body unpacked. `salted`: a body on a path that gets a salt.
 */
export function newPlan(who, { method = 'POST', target, headers = [], body, salted = false }) {
  return {
    ...{ who, method, target, version: 'HTTP/1.1', host: undefined, headers: [...headers], body, salted },
    ...{ framing: body === undefined ? 'none' : 'length', chunk: undefined, rawHead: undefined, tail: undefined },
    ...{ delivery: { kind: 'whole' }, answers: 1, notes: [] },
    ...{ refused: false, broken: false, leaves: false, bodyBytes: body?.length ?? 0, expect: undefined },
  }
}

/** Whether header `name` is there already. */
export const hasHeader = (plan, name) => plan.headers.some(([given]) => given.toLowerCase() === name)

/** The bytes of a plan that go to `port`. */
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

/** `sizes`: of the chunks, the last repeated. `extension`: behind each size. `trailers`: lines at the end. `end`: in place of the last chunk. */
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
