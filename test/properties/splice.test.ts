// What cwm forwards of any body: the received bytes, with the salt inserted, and with `stream_options` if it requests usage.
// src/dialects/raw-json.test.ts tests the splice alone; here it is everything between client and engine.

import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../support/client.ts'
import { chatAnswer, type FakeUpstream, sayJson, startFakeUpstream } from '../support/fake-upstream.ts'
import { gaps, memberOf, type Spelt, type SpeltObject, spelt, textOf, value } from '../support/json-text.ts'
import { RUNS_TIMEOUT_MS, runs } from '../support/runs.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

let upstream: FakeUpstream
let cwm: Cwm
beforeAll(async () => {
  upstream = await startFakeUpstream((_, response) => sayJson(response, chatAnswer('hello')))
  cwm = await startCwm(upstream.url)
})
afterAll(async () => {
  await cwm.close()
  await upstream.close()
})

/** A client's options for a stream's usage, and the options for the engine if the client did not request it. */
const optionsAsked: Readonly<Record<string, string>> = {
  null: '{"include_usage":true}',
  '{ }': '{"include_usage":true,"continuous_usage_stats":false }',
  '{"include_usage" :false, "x":12345678901234567890}':
    '{"continuous_usage_stats":false,"include_usage" :true, "x":12345678901234567890}',
  '{"include_\\u0075sage":null,"continuous_usage_stats":true,"x":1e400}':
    '{"include_\\u0075sage":true,"continuous_usage_stats":false,"x":1e400}',
  '{"include_usage":true,"x":1.0}': '{"include_usage":true,"x":1.0}',
  '"nonsense"': '"nonsense"',
}

const message = fc
  .tuple(fc.constantFrom('user', 'assistant', 'system'), value)
  .map(([role, content]) => `{ "role":"${role}","content":${content}}`)
const list = fc.array(message, { minLength: 1, maxLength: 3 }).map((items) => `[${items.join(' ,')} ]`)
const salt = fc.oneof(spelt, fc.constant('null'))

const paths = {
  '/v1/chat/completions': memberOf('messages', list),
  '/v1/messages': memberOf('messages', list),
  '/v1/responses': memberOf('input', list),
  '/v1/completions': memberOf('prompt', spelt),
}

/** An acceptable body: the required members, in any order, among others. */
const request = fc.constantFrom(...(Object.keys(paths) as (keyof typeof paths)[])).chain((path) =>
  fc.record({
    path: fc.constant(path),
    gaps,
    members: fc
      .tuple(
        memberOf('model', fc.constant('"m"')),
        paths[path],
        fc.array(memberOf('cache_salt', salt), { maxLength: 1 }),
        fc.array(memberOf('stream', fc.constantFrom('true', '1', '"yes"', 'false', 'null')), { maxLength: 1 }),
        fc.array(memberOf('stream_options', fc.constantFrom(...Object.keys(optionsAsked))), { maxLength: 1 }),
        fc.array(
          fc.constantFrom('temperature', 'tools', '__proto__', '', 'cache_salt ').chain((key) => memberOf(key, value)),
          { maxLength: 3 },
        ),
      )
      .chain((parts) => fc.shuffledSubarray(parts.flat(), { minLength: parts.flat().length })),
  }),
)

function lastOf(members: readonly Spelt[], key: string): unknown {
  const text = members.findLast((member) => member.key === key)?.valueText
  return text === undefined ? undefined : (JSON.parse(text) as unknown)
}

/** The expected text, built without the code that cwm uses to parse and edit. */
function outgoing(path: string, { members, gaps: around }: SpeltObject, ownSalt: string): string {
  const streams = ['/v1/chat/completions', '/v1/completions'].includes(path)
  const asksUsage = streams && [true, 1, 'yes'].includes(lastOf(members, 'stream') as never)
  const last = members.findLast(({ key }) => key === 'stream_options')?.valueText ?? 'null'
  const changes = new Map([['cache_salt', ownSalt]])
  const options = optionsAsked[last]
  if (asksUsage && options !== undefined && options !== last) changes.set('stream_options', options)
  const changed = members.map((member) => ({ ...member, valueText: changes.get(member.key) ?? member.valueText }))
  const added = ['stream_options', 'cache_salt']
    .filter((key) => changes.has(key) && !members.some((member) => member.key === key))
    .map((key) => `"${key}":${changes.get(key)},`)
  return textOf({ members: changed, gaps: around }).replace('{', () => `{${added.join('')}`)
}

describe('any body', { timeout: RUNS_TIMEOUT_MS }, () => {
  it('is forwarded unchanged, except for the salt and for usage requested by cwm itself', async () => {
    await fc.assert(
      fc.asyncProperty(request, async ({ path, ...body }) => {
        upstream.received.length = 0

        const got = await ask(cwm.url, path, { body: textOf(body), headers: { 'x-cwm-session': 's' } })

        expect([got.status, got.text]).toEqual([200, chatAnswer('hello')])
        const sent = upstream.received[0]?.body.toString() ?? ''
        const { cache_salt: ownSalt } = JSON.parse(sent) as { cache_salt: string }
        expect(ownSalt).toMatch(/^[\w-]{20,128}$/)
        expect(lastOf(body.members, 'cache_salt')).not.toBe(ownSalt)
        expect(sent).toBe(outgoing(path, body, JSON.stringify(ownSalt)))
      }),
      runs(60),
    )
  })
})
