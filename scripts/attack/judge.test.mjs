import { describe, expect, it } from 'vitest'
import { AnswerParser } from './answers.mjs'
import { faultsOf } from './judge.mjs'
import { newPlan } from './plan.mjs'

const who = { id: 'a7', owner: 'k1', session: undefined }
const planOf = (change = {}) =>
  Object.assign(newPlan(who, { target: '/v1/chat/completions', body: Buffer.from('{}') }), change)
const json = { 'content-type': 'application/json' }

function answerOf(status, value, headers = json) {
  const body = Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
  return { status, headers: { 'x-cwm-request-id': 'a7', ...headers }, body }
}

const error = (status, code) => answerOf(status, { error: { message: 'it is wrong', code } })
const outcomeOf = (...answers) => ({ answers, closed: false, timedOut: false, fault: undefined })
const stream = { 'content-type': 'text/event-stream; charset=utf-8' }

describe('the judge of answers', () => {
  it.each([
    ['an answer', planOf(), outcomeOf(answerOf(200, { choices: [] }))],
    ['an error', planOf(), outcomeOf(error(400, 'invalid_json'))],
    ['an error for a request that must be rejected', planOf({ refused: true }), outcomeOf(error(400, 'invalid_field'))],
    ['a whole stream', planOf(), outcomeOf(answerOf(200, 'data: {}\n\ndata: [DONE]\n\n', stream))],
    ['a closed connection after bytes that are not HTTP', planOf({ broken: true }), { ...outcomeOf(), closed: true }],
    ['a closed connection after the client disconnected', planOf({ leaves: true }), { ...outcomeOf(), closed: true }],
  ])('accepts %s', (_, plan, outcome) => {
    expect(faultsOf(plan, outcome)).toEqual([])
  })

  it.each([
    ['silence', planOf(), { ...outcomeOf(), timedOut: true }, 'no answer in time'],
    ['a closed connection', planOf(), { ...outcomeOf(), closed: true }, 'closed without an answer'],
    ['odd bytes', planOf(), { ...outcomeOf(), fault: 'not a status line' }, 'bytes that are not a response'],
    ['two answers', planOf(), outcomeOf(answerOf(200, {}), answerOf(200, {})), '2 answers to 1 requests'],
    [
      'an answer to a request that must be rejected',
      planOf({ refused: true }),
      outcomeOf(answerOf(200, {})),
      'must be rejected',
    ],
    ['an internal error of cwm', planOf(), outcomeOf(error(500, 'internal')), '500 internal'],
    ['a failure of the engine', planOf(), outcomeOf(error(502, 'upstream_broken')), '502 upstream_broken'],
    ['an error without a message', planOf(), outcomeOf(answerOf(400, {})), 'without an error'],
    ['broken JSON', planOf(), outcomeOf(answerOf(200, '{"a":')), 'not JSON'],
    ['a stream that stops', planOf(), outcomeOf(answerOf(200, 'data: {}\n\n', stream)), 'a stream that does not end'],
    ['405 without Allow', planOf(), outcomeOf(error(405, 'method_not_allowed')), '405 without Allow'],
    ['an honest tenant’s text', planOf(), outcomeOf(answerOf(200, { a: 'honest-secret-1' })), 'honest'],
    ["another attacker's words", planOf(), outcomeOf(answerOf(200, { a: 'nonce.k2.a1' })), 'the words of k2'],
    [
      "another's answer",
      planOf(),
      outcomeOf(answerOf(200, {}, { ...json, 'x-cwm-request-id': 'a9' })),
      'another request: a9',
    ],
    ['another status', planOf({ expect: { status: 415 } }), outcomeOf(error(400, 'x')), 'status 400, not 415'],
    ['another code', planOf({ expect: { code: 'y' } }), outcomeOf(error(400, 'x')), 'code x, not y'],
    ['a missing header', planOf({ expect: { header: ['allow', /POST/] } }), outcomeOf(error(400, 'x')), 'header allow'],
    ['missing help', planOf({ expect: { message: /did you mean/ } }), outcomeOf(error(404, 'x')), 'no /did you mean/'],
  ])('finds %s', (_, plan, outcome, words) => {
    expect(faultsOf(plan, outcome)).toContainEqual(expect.stringContaining(words))
  })
})

const TWO =
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nA: 1\r\na: 2\r\n\r\n{}' +
  'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n'

describe('the parser of answers', () => {
  it('parses answers wherever their bytes are split', () => {
    for (let at = 0; at <= TWO.length; at++) {
      const parser = new AnswerParser()
      parser.read(Buffer.from(TWO.slice(0, at)))
      parser.read(Buffer.from(TWO.slice(at)))

      const read = parser.answers.map(({ status, headers, body }) => [status, headers.a, body.toString()])
      expect(read).toEqual([
        [200, ['1', '2'], '{}'],
        [404, undefined, 'abcd'],
      ])
      expect([parser.interim, parser.isWithin]).toEqual([1, false])
    }
  })

  it('reads an answer without a length until its connection closes, and no body for HEAD', () => {
    const parser = new AnswerParser((n) => n === 0)
    parser.read(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\r\nab'))
    expect(parser.answers).toHaveLength(1)

    parser.end()

    expect(parser.answers[1].body.toString()).toBe('ab')
  })

  it.each([
    'HTTP/1.0 200 OK\r\n\r\n',
    'nonsense\r\n\r\n',
    'HTTP/1.1 200 OK\r\nno header\r\n\r\n',
    'HTTP/1.1 200 OK\r\nbad name: 1\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: +1\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
    'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc\r\n',
  ])('rejects an invalid answer: %j', (text) => {
    expect(() => new AnswerParser().read(Buffer.from(text))).toThrow()
  })
})
