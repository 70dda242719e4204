// A second turn is recognized whichever SDK sends it: servers' replies, and the next requests that real SDKs derived from them
// (test/recorded/echoes, recorded by scripts/echoes).

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { isObject, type JsonObject, type JsonValue } from '../../src/base/json.ts'
import type { Dialect } from '../../src/base/records.ts'
import { rulesOf } from '../../src/dialects/index.ts'
import { type Chain, chainOf } from '../../src/identity/chain.ts'
import { scopeOf } from '../../src/identity/scope.ts'
import { decodeJsonEvents } from '../../src/sse/decode.ts'

interface Exchange {
  readonly dialect: Dialect
  readonly variant: string
  readonly case: string
  readonly stream: boolean
  readonly requests: readonly [JsonObject, JsonObject]
}

interface Reply {
  readonly dialect: Dialect
  readonly case: string
  readonly whole: string
  readonly streamed: string
}

const folder = new URL('../recorded/echoes/', import.meta.url)
const read = (file: string) => JSON.parse(readFileSync(new URL(file, folder), 'utf8')) as unknown
const { replies } = read('replies.json') as { readonly replies: readonly Reply[] }
const sdks = readdirSync(folder)
  .filter((file) => file.endsWith('.json') && file !== 'replies.json')
  .map((file) => ({
    sdk: file.slice(0, -'.json'.length),
    exchanges: (read(file) as { exchanges: readonly Exchange[] }).exchanges,
  }))

function chain(dialect: Dialect, body: JsonObject): Chain {
  const rules = rulesOf(dialect)
  const system = rules.outerSystem(body)
  const messages = [...(system === undefined ? [] : [system]), ...rules.readMessages(body)]
  return chainOf(scopeOf('t', dialect, {}, body), messages, (message) => rules.canonical(message))
}

function observed(dialect: Dialect, text: string): readonly JsonValue[] {
  const rules = rulesOf(dialect)
  const observation = text.startsWith('{')
    ? rules.observeJson(JSON.parse(text) as JsonObject)
    : rules.observeEvents(decodeJsonEvents(Buffer.from(text)))
  expect(observation.complete).toBe(true)
  return observation.choices[0]?.messages ?? []
}

function replyOf(exchange: Exchange): Reply {
  const found = replies.find((reply) => reply.dialect === exchange.dialect && reply.case === exchange.case)
  if (found === undefined) throw new Error(`no reply for ${exchange.case}`)
  return found
}

/** Whether the next request is found to continue the delivered answer. */
function isRecognised(exchange: Exchange, text = replyOf(exchange)[exchange.stream ? 'streamed' : 'whole']): boolean {
  const { dialect, requests } = exchange
  const boundary = chain(dialect, requests[0]).boundary(observed(dialect, text))?.digest
  return chain(dialect, requests[1]).candidates.some(({ digest }) => digest === boundary)
}

/** Echoes that omit parts of the reply, by SDK, dialect, variant and case: their turn starts cold. */
const incomplete: readonly RegExp[] = [
  // The history stays on the server (`thread`), which vLLM 0.32 does not support.
  /^anthropic messages toolRunner /,
  // The reply was only reasoning, which is not compared.
  / responses .* reasoning alone$/,
  /^vercel chat openai chat, .* reasoning alone$/,
  /^vercel .* empty text$/,
  // One message is sent back as two.
  /^vercel .* text in two parts$/,
  /^(langchain|langchain-python|litellm-python) chat .* refusal$/,
  // Its line reader treats U+2028 as a line end.
  /^litellm-python chat hosted_vllm, stream line separator$/,
  // Arguments that are not JSON.
  /^langchain responses responses, not stored a call without arguments$/,
]

/** Includes items given by id only, which vLLM 0.32 rejects. */
function isWhole(sdk: string, { dialect, variant, case: name, requests }: Exchange): boolean {
  const { input } = requests[1]
  if (Array.isArray(input) && input.some((item: JsonValue) => isObject(item) && item.type === 'item_reference'))
    return false
  const title = `${sdk} ${dialect} ${variant} ${name}`
  return !incomplete.some((pattern) => pattern.test(title))
}

describe.each(sdks)('what $sdk sends back', ({ sdk, exchanges }) => {
  const rows = exchanges.map((exchange) => [exchange.dialect, exchange.variant, exchange.case, exchange] as const)
  const same = rows.filter(([, , , exchange]) => isWhole(sdk, exchange))
  const other = rows.filter(([, , , exchange]) => !isWhole(sdk, exchange))

  it.each(same)('is recognized: %s, %s, %s', (_dialect, _variant, _case, exchange) => {
    expect(isRecognised(exchange)).toBe(true)
  })

  it.runIf(other.length > 0).each(other)(
    'is not the delivered reply: %s, %s, %s',
    (_dialect, _variant, _case, exchange) => {
      expect(isRecognised(exchange)).toBe(false)
    },
  )

  it('is not recognized if a word of the reply differs', () => {
    const changed = same.flatMap(([, , , exchange]) => {
      const text = replyOf(exchange)[exchange.stream ? 'streamed' : 'whole']
      const altered = text.replaceAll('Rome', 'Oslo').replaceAll('cannot', 'can not')
      return altered === text ? [] : [{ exchange, altered }]
    })

    expect(changed.length).toBeGreaterThan(10)
    for (const { exchange, altered } of changed) expect(isRecognised(exchange, altered)).toBe(false)
  })

  it('is not recognized for another user', () => {
    for (const [, , , exchange] of same) {
      const [first, second] = exchange.requests
      expect(isRecognised({ ...exchange, requests: [first, { ...second, user: 'another' }] })).toBe(false)
    }
  })
})
