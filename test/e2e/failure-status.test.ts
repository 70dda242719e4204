// An upstream's error answers belong to it: status, headers and bytes reach the client unchanged.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ask, type Got } from '../support/client.ts'
import { user } from '../support/conversation.ts'
import { metricOf } from '../support/departing-client.ts'
import { type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

interface Refusal {
  readonly status: number
  readonly statusText?: string
  readonly headers: readonly string[]
  readonly body: string
}

let upstream: FakeUpstream
let cwm: Cwm
let refusal: Refusal

beforeAll(async () => {
  upstream = await startFakeUpstream((_, response) => {
    const { status, statusText = 'As They Say', headers, body } = refusal
    response.writeHead(status, statusText, [...headers])
    response.end(body)
  })
  cwm = await startCwm(upstream.url)
})

beforeEach(() => {
  upstream.received.length = 0
})

afterAll(async () => {
  await cwm.close()
  await upstream.close()
})

const messages = [user('hi')]
const paths = [
  ['/v1/chat/completions', { model: 'm', messages }],
  ['/v1/completions', { model: 'm', prompt: 'hi' }],
  ['/v1/responses', { model: 'm', input: 'hi' }],
  ['/v1/messages', { model: 'm', max_tokens: 5, messages }],
  ['/tokenize', { model: 'm', prompt: 'hi' }],
] as const

// Spaces, member order and letter case that a re-encoding would change.
const words = '{ "error" : {"message":"Zu viele Anfragen \\u00fc ü",  "type":"x", "code": 1e2} }\n'
const json = ['Content-Type', 'application/json', 'Content-Length', String(Buffer.byteLength(words))]
const refusals: readonly (readonly [string, Refusal])[] = [
  [
    '429 with Retry-After and rate limits',
    {
      status: 429,
      headers: ['Retry-After', '17', 'X-RateLimit-Remaining', '0', 'retry-after-ms', '16500', ...json],
      body: words,
    },
  ],
  ['503 with a date', { status: 503, headers: ['retry-after', 'Fri, 31 Dec 2100 23:59:59 GMT', ...json], body: words }],
  ['529 from Anthropic', { status: 529, headers: ['x-should-retry', 'true', ...json], body: words }],
  ['500 in chunks', { status: 500, headers: ['Content-Type', 'application/json; charset=utf-8'], body: words }],
  ['502 in HTML', { status: 502, headers: ['Content-Type', 'text/html', 'Server', 'nginx'], body: '<h1>Bad</h1>\r\n' }],
  ['504 without a body', { status: 504, headers: ['Content-Length', '0'], body: '' }],
  ['500 as events', { status: 500, headers: ['Content-Type', 'text/event-stream'], body: 'data: {"error":{}}\n\n' }],
]
const cases = paths.flatMap(([path, body]) =>
  refusals.flatMap(([name, said]) =>
    [true, false].map((stream) => ({ path, name, stream, said, body: { ...body, stream } })),
  ),
)

/** Headers in their order and letter case, without those of a connection and cwm's own. */
function headersOf({ rawHeaders }: Got): readonly string[] {
  const own = /^(x-cwm-.*|connection|keep-alive|transfer-encoding|date)$/i
  return rawHeaders.flatMap((value, i) => (i % 2 === 0 && !own.test(value) ? [`${value}: ${rawHeaders[i + 1]}`] : []))
}

describe('an error answer of the upstream', () => {
  it.each(cases)('$name passes unchanged: $path, stream $stream', async ({ path, body, said }) => {
    refusal = said
    const direct = await ask(upstream.url, path, { body })
    upstream.received.length = 0

    const got = await ask(cwm.url, path, { body })

    expect([got.status, got.statusText, got.text, got.clean]).toEqual([said.status, 'As They Say', said.body, true])
    expect(headersOf(got)).toEqual(headersOf(direct))
    expect(upstream.received).toHaveLength(1)
  })

  it('is not an upstream failure for cwm: nothing is counted, retried or held back', async () => {
    expect(await metricOf(cwm.url, 'cwm_upstream_errors_total')).toBe(0)
    expect(await metricOf(cwm.url, 'cwm_upstream_retries_total')).toBe(0)
    expect(await metricOf(cwm.url, 'cwm_upstream_breaker_state')).toBe(0)
  })
})
