// Names and headers with injected content: line breaks, unusual characters, cwm's own headers from either side.

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ask, errorOf, rawExchange } from '../../support/client.ts'
import { chat, user } from '../../support/conversation.ts'
import { type Stack, startStack } from '../../support/stack.ts'

const CHAT = '/v1/chat/completions'
const body = JSON.stringify({ model: 'sim-model', messages: [user('hi')], max_tokens: 2 })

let stack: Stack
beforeAll(async () => {
  stack = await startStack()
})
beforeEach(() => stack.sim.requests.clear())
afterAll(() => stack.close())

/** A turn with exactly these header lines. */
const raw = (lines: string): Promise<string> =>
  rawExchange(
    stack.url,
    Buffer.from(
      `POST ${CHAT} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n${lines}\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      'latin1',
    ),
  )

describe('an invalid name', () => {
  const names = [
    'a b',
    'a/b',
    '../a',
    'a%0d%0ax-evil:1',
    'a\tb',
    'a\x7f',
    'ä',
    'a"b',
    'a;b',
    'a,b',
    '{a}',
    "a'--",
    '-a',
    '.a',
    '__proto__',
    'a'.repeat(129),
  ]

  it.each(['x-cwm-session', 'x-cwm-window', 'x-cwm-freeze'])(
    'in %s is rejected before anything is sent',
    async (header) => {
      for (const name of names) {
        const answer = await raw(`${header}: ${name}`)

        expect(answer).toMatch(/^HTTP\/1\.1 400 /)
        expect(answer).not.toMatch(/x-evil/i)
      }
      expect(stack.sim.requests.all('engine')).toEqual([])
    },
  )

  it.each([
    ['sessions', 404],
    ['windows', 404],
    ['deletions', 404],
  ])('in a path of REST is not found, like any other: %s', async (list, status) => {
    for (const name of [
      'a%0d%0ax-evil:1',
      '%00',
      '..%2f..%2fmetrics',
      '%2e%2e',
      '{a}',
      '%27%20OR%201=1',
      '%ff',
      '__proto__',
    ]) {
      const got = await ask(stack.url, `/cwm/v1/${list}/${name}`)

      expect(got.status).toBe(status)
      expect(got.headers['x-evil']).toBeUndefined()
      expect(errorOf(got).code).toMatch(/not_found|unknown_path/)
    }
  })

  it('never starts a session by REST', async () => {
    const got = await ask(stack.url, '/cwm/v1/windows/w/thaw', { body: { session_id: 'a\r\nx-evil: 1' } })

    expect([got.status, errorOf(got).param]).toEqual([400, 'session_id'])
  })
})

describe('a line break in a header', () => {
  // Node's parser ends a header at a bare CR or LF, or rejects the request. Either way, injected headers never appear in an answer.
  it.each([
    ['a bare line feed', 'x-request-id: a\nx-cwm-session: smuggled'],
    ['a bare carriage return', 'x-request-id: a\rx-evil: 1'],
    ['a folded line', 'x-request-id: a\r\n x-evil: 1'],
    ['a space before the colon', 'x-cwm-session : smuggled'],
    ['a NUL', 'x-request-id: a\0b'],
  ])('does not split an answer: %s', async (_, lines) => {
    const answer = await raw(lines)
    const head = answer.split('\r\n\r\n')[0] ?? ''

    expect(head.split('\r\n').filter((line) => /^x-evil/i.test(line))).toEqual([])
    expect(head).not.toContain('smuggled')
    expect(answer.match(/HTTP\/1\.1 \d/g)).toHaveLength(1)
  })

  it('an X-Request-Id with unusual characters is not echoed', async () => {
    const answer = await raw('x-request-id: a b\xe4')

    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer).toMatch(/\r\nx-cwm-request-id: [\w-]{22}\r\n/)
  })
})

describe('headers of cwm', () => {
  it('that are unknown or repeated are rejected instead of forwarded', async () => {
    const tenant = await raw('x-cwm-tenant: victim')
    const unknown = await raw('x-cwm-secret: 1')
    const twice = await raw('x-cwm-session: a\r\nx-cwm-session: b')

    for (const answer of [tenant, unknown, twice]) {
      expect(answer).toMatch(/^HTTP\/1\.1 400 /)
      expect(answer).toContain('"code":"invalid_header"')
    }
    expect(stack.sim.requests.all('engine')).toEqual([])
  })

  it('never reach the engine, whatever a Connection header would restore or remove', async () => {
    await chat(stack.url, [user('hi')], {
      headers: { 'x-cwm-session': 'plain', connection: 'x-cwm-session, content-length, cache-control' },
    })

    const sent = stack.sim.requests.all('engine').at(-1)
    expect(sent?.rawHeaders.map((text) => text.toLowerCase()).filter((text) => text.startsWith('x-cwm-'))).toEqual([])
    expect(sent?.rawHeaders.map((text) => text.toLowerCase())).toContain('content-length')
  })
})
