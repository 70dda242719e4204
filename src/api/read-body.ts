// Reads bodies of REST and MCP requests before they reach a route, with the same limits as for forwarded requests.

import type { Context } from 'hono'
import { hasBody, type ReceiveOptions, readBytes } from '../admission/read-bytes.ts'
import { CwmError } from '../base/errors.ts'
import type { Requester } from '../base/fair-turns.ts'
import { isObject, type JsonValue } from '../base/json.ts'
import type { JsonBodies } from '../base/json-bodies.ts'
import { messageFields } from '../dialects/index.ts'
import type { Bindings } from './bindings.ts'

/**
 * Receives the body of a request that came on a socket, before anything else reads it. MCP and the dashboard call REST in-process: these
 * requests have their body in memory. Throws as `readBytes`.
 */
export async function receiveBody({ incoming }: Bindings['Bindings'], options: ReceiveOptions): Promise<void> {
  if (!hasBody(incoming) || incoming.readableDidRead) return
  // The HTTP adapter takes the body from here, if there is one.
  Object.assign(incoming, { rawBody: await readBytes(incoming, options) })
}

/**
 * Reads and checks a JSON body. Routes receive the parsed value; MCP, which does its own parsing, receives the bytes. Throws as `JsonBodies`.
 */
export async function readBody(
  c: Context<Bindings>,
  bodies: JsonBodies,
  requester: Requester,
  forMcp: boolean,
): Promise<void> {
  if (c.req.raw.body === null || !/^application\/json\b/i.test(c.req.header('content-type') ?? '')) return
  const bytes = Buffer.from(await c.req.raw.arrayBuffer())
  if (bytes.length === 0 && !forMcp) {
    withoutBody(c)
    return
  }
  const value = await parse(bytes, bodies, requester, forMcp)
  if (isObject(value)) bodies.checkMessages(value, messageFields)
  if (forMcp) c.req.raw = new Request(c.req.raw, { body: bytes })
  else c.req.json = <T>() => Promise.resolve(value as unknown as T)
}

/** Many clients send a content type with every request, even DELETE. Removing it makes the route treat the request as one without a body. */
function withoutBody(c: Context<Bindings>): void {
  const { url, method, headers, signal } = c.req.raw
  const kept = new Headers(headers)
  kept.delete('content-type')
  c.req.raw = new Request(url, { method, headers: kept, signal })
}

async function parse(
  bytes: Buffer,
  bodies: JsonBodies,
  requester: Requester,
  forMcp: boolean,
): Promise<JsonValue | undefined> {
  try {
    return await bodies.parse(bytes, requester)
  } catch (thrown) {
    // MCP reports invalid JSON in its own format.
    if (forMcp && thrown instanceof CwmError && ['INVALID_JSON', 'INVALID_UTF8'].includes(thrown.code)) return undefined
    throw thrown
  }
}
