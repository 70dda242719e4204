// Bodies of REST and MCP: read once and whole, bounded as those of forwarded requests are, before any route looks at them.

import type { Context } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { CwmError } from '../base/errors.ts'
import type { Asker } from '../base/fair-turns.ts'
import { isObject, type JsonValue } from '../base/json.ts'
import type { JsonBodies } from '../base/json-bodies.ts'
import type { Bindings } from './bindings.ts'

/** Refuses a body of more bytes with `BODY_TOO_LARGE`. */
export function limitBytes(maxSize: number, setting?: string) {
  const told = setting === undefined ? '' : ` (setting ${setting})`
  return bodyLimit({
    maxSize,
    onError: () => {
      throw new CwmError('BODY_TOO_LARGE', `the body is larger than ${maxSize} bytes${told}`, {
        param: 'body',
        bound: 'body_bytes',
      })
    },
  })
}

/**
 * Reads and checks a body of JSON; the routes get what was parsed, and MCP, which parses by itself, the bytes. Throws as `JsonBodies` does.
 */
export async function readBody(c: Context<Bindings>, bodies: JsonBodies, asker: Asker, forMcp: boolean): Promise<void> {
  if (c.req.raw.body === null || !/^application\/json\b/i.test(c.req.header('content-type') ?? '')) return
  const bytes = Buffer.from(await c.req.raw.arrayBuffer())
  const value = await parse(bytes, bodies, asker, forMcp)
  if (isObject(value)) bodies.checkMessages(value)
  if (forMcp) c.req.raw = new Request(c.req.raw, { body: bytes })
  else c.req.json = <T>() => Promise.resolve(value as unknown as T)
}

async function parse(bytes: Buffer, bodies: JsonBodies, asker: Asker, forMcp: boolean): Promise<JsonValue | undefined> {
  try {
    return await bodies.parse(bytes, asker)
  } catch (thrown) {
    // MCP says in its own words that something is no JSON.
    if (forMcp && thrown instanceof CwmError && ['INVALID_JSON', 'INVALID_UTF8'].includes(thrown.code)) return undefined
    throw thrown
  }
}
