// The key of one engine of several: it replaces whatever credentials a request has.

import { credentialHeaders } from '../base/auth.ts'
import type { Sender } from './json.ts'

/** Sends each request with this key. Without a key, returns the sender itself. */
export function withOwnKey(sender: Sender, apiKey: string | undefined): Sender {
  if (apiKey === undefined) return sender
  return { send: (request, sink) => sender.send({ ...request, headers: keyed(request.headers, apiKey) }, sink) }
}

const credentials: ReadonlySet<string> = new Set(credentialHeaders)

/** vLLM reads the key of Anthropic's clients from `x-api-key`, so a request that has this header gets the key there too. */
function keyed(headers: readonly string[], apiKey: string): string[] {
  const out: string[] = []
  let usesAnthropicKey = false
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i] ?? ''
    const lower = name.toLowerCase()
    if (lower === 'x-api-key') usesAnthropicKey = true
    if (!credentials.has(lower)) out.push(name, headers[i + 1] ?? '')
  }
  out.push('authorization', `Bearer ${apiKey}`)
  if (usesAnthropicKey) out.push('x-api-key', apiKey)
  return out
}
