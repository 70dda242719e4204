// Requests that Node's parser rejects before any handler runs get a JSON error that says what is wrong, like any other error.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rawExchange } from '../support/client.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack({ settings: { max_header_bytes: 4096 } })
})

afterAll(() => stack.close())

describe('a request that cannot be parsed', () => {
  it.each([
    ['no Host', 'GET /v1/models HTTP/1.1\r\n\r\n', 400, 'invalid_http'],
    ['not HTTP at all', 'hello there\r\n\r\n', 400, 'invalid_http'],
    [
      'a header section that is too large',
      `GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx-long: ${'x'.repeat(8_000)}\r\n\r\n`,
      431,
      'headers_too_large',
    ],
    [
      'two lengths',
      'POST /v1/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}',
      400,
      'invalid_http',
    ],
  ])('%s is answered and the connection closed', async (_, bytes, status, code) => {
    const answer = await rawExchange(stack.url, bytes)

    const [head = '', body = ''] = answer.split('\r\n\r\n')
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(head).toContain('connection: close')
    expect(JSON.parse(body)).toMatchObject({ error: { code } })
  })
})
