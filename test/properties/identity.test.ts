// Two requests that differ in anything identifying the sender share neither session nor salt, in the modes that separate senders.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../../src/base/json.ts'
import { askChat, chat, saltsIn, user } from '../support/conversation.ts'
import { type Stack, startStack } from '../support/stack.ts'

/** What a request reveals about its sender; all of it goes upstream. */
interface Sender {
  readonly credentials: Record<string, string>
  readonly headers: Record<string, string>
  readonly body: JsonObject
}

const id = fc.constantFrom<JsonValue>('a', 'b', '1', 1, 2, true, 'true', [1], ['1'], { a: 1 }, { a: '1' }, '{"a":1}')
const word = fc.constantFrom('a', 'b')
const senders: fc.Arbitrary<Sender> = fc.record({
  credentials: fc.constantFrom<Record<string, string>>(
    {},
    { authorization: 'Bearer a' },
    { 'x-api-key': 'b' },
    { 'api-key': 'c' },
    { authorization: 'Basic YTph' },
    { authorization: 'Basic YTph', 'x-api-key': 'b' },
    { authorization: 'Basic YTpi', 'api-key': 'b' },
  ),
  headers: fc.record(
    {
      'x-openwebui-user-id': word,
      'x-claude-code-session-id': word,
      'x-session-id': word,
      'x-litellm-end-user-id': word,
    },
    { requiredKeys: [] },
  ),
  body: fc.oneof(
    fc.record({ user: id, safety_identifier: id, session_id: id, prompt_cache_key: id }, { requiredKeys: [] }),
    fc.record({ metadata: fc.record({ user_id: id }) }),
  ),
})

/** Often two almost equal senders. */
const pairs = fc.oneof(
  fc.tuple(senders, senders),
  fc.tuple(senders, senders).map(([one, two]) => [one, { ...one, body: two.body }] as [Sender, Sender]),
  fc.tuple(senders, senders).map(([one, two]) => [one, { ...one, headers: two.headers }] as [Sender, Sender]),
  fc.tuple(senders, senders).map(([one, two]) => [one, { ...one, credentials: two.credentials }] as [Sender, Sender]),
)

const spelt = (value: object): string => JSON.stringify(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
/** The same key in another header is the same sender. */
const credentialsOf = ({ credentials }: Sender): string =>
  spelt({ scheme: /^Basic/.test(credentials.authorization ?? '') ? credentials.authorization : '' }) +
  (credentials['x-api-key'] ??
    credentials['api-key'] ??
    /^Bearer (.*)/.exec(credentials.authorization ?? '')?.[1] ??
    '')
const whoIs = (sender: Sender): string => credentialsOf(sender) + spelt(sender.headers) + spelt(sender.body)

/** The user, as docs/isolation.md defines it; undefined if none is named. */
function userIn({ headers, body }: Sender): string | undefined {
  const metadata = body.metadata as JsonObject | undefined
  const named = [body.safety_identifier, body.user, metadata?.user_id]
  const said = [headers['x-openwebui-user-id'], headers['x-litellm-end-user-id'], ...named]
  return said.every((part) => part === undefined) ? undefined : JSON.stringify(said)
}

describe.each(['session', 'user'] as const)('isolation: %s', (isolation) => {
  let stack: Stack
  beforeAll(async () => {
    stack = await startStack({ settings: { isolation } })
  })
  afterAll(() => stack.close())

  it('keeps two senders with the same text apart, and recognizes a known one', { timeout: 60_000 }, async () => {
    let run = 0
    await fc.assert(
      fc.asyncProperty(pairs, async ([one, two]) => {
        const words = user(`Run ${++run} of what one of them said.`)
        const sent = ({ credentials, headers, body }: Sender) => ({
          headers: { ...credentials, ...headers },
          body: { max_tokens: 4, ...body },
        })
        const first = await chat(stack.url, [words], sent(one))
        const salt = lastSalt(stack)

        const second = await askChat(stack.url, [words, first.reply, user('go on')], sent(two))
        expect(second.status).toBe(200)
        const session = second.headers['x-cwm-session']

        expect(session === first.session).toBe(whoIs(one) === whoIs(two))
        if (session === first.session) return
        const shares =
          isolation === 'user' &&
          credentialsOf(one) === credentialsOf(two) &&
          userIn(one) !== undefined &&
          userIn(one) === userIn(two)
        expect(lastSalt(stack) === salt).toBe(shares)
      }),
      { seed: 15, numRuns: 80 },
    )
  })
})

function lastSalt(stack: Stack): string | undefined {
  const sent = stack.sim.requests.all('engine').findLast(({ path }) => path === '/v1/chat/completions')
  const [salt] = saltsIn(sent?.body ?? Buffer.alloc(0))
  stack.sim.requests.clear()
  return salt
}
