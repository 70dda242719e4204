// The API key of a request: from `Authorization: Bearer` (OpenAI's way) or `x-api-key` (Anthropic's).

import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { CwmError } from './errors.ts'

/** The key, or undefined when there is none. Throws `INVALID_HEADER` when two different keys are sent: nobody can say who asks. */
export function readApiKey({
  headers,
  rawHeaders,
}: Pick<IncomingMessage, 'headers' | 'rawHeaders'>): string | undefined {
  const { authorization } = headers
  const bearer = authorization === undefined ? undefined : /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
  if (authorization !== undefined && isThereTwice(rawHeaders, 'authorization')) {
    // Node would read the first, the upstream perhaps the last.
    throw new CwmError('INVALID_HEADER', 'authorization is there twice; send one', { param: 'authorization' })
  }
  const header = headers['x-api-key']
  const plain = typeof header === 'string' && header !== '' ? header : undefined
  if (bearer !== undefined && plain !== undefined && bearer !== plain) {
    throw new CwmError('INVALID_HEADER', 'two different API keys were sent; send one', { param: 'x-api-key' })
  }
  // Another scheme (Basic, say) is still someone's identity: it must not fall in with those who send no key at all.
  return bearer ?? plain ?? authorization
}

function isThereTwice(rawHeaders: readonly string[], name: string): boolean {
  let times = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const raw = rawHeaders[i]
    if (raw?.length === name.length && raw.toLowerCase() === name) times++
  }
  return times > 1
}

/** How the settings know a key: SHA-256, lower-case hex. A key must be random and long, for this hides no weak one. */
export function keyHash(apiKey: string): string {
  return createHash('sha256').update(apiKey).digest('hex')
}
