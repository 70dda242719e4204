import { expect, it } from 'vitest'
import { AnswerReader, headerOf } from './answer-reader.mjs'

const answers = Buffer.from(
  [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Cwm-Session: Ab\r\n\r\nhello',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nB\r\n\r\n123456789\r\n0\r\n\r\n',
    'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n',
    'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
  ].join(''),
)

function readIn(pieces) {
  const ends = []
  let bytes = 0
  const reader = new AnswerReader({
    onBody: (count) => (bytes += count),
    onEnd: (status, head, bodyBytes) => ends.push([status, bodyBytes, headerOf(head, 'x-cwm-session')]),
  })
  for (const piece of pieces) reader.read(piece)
  return { ends, bytes }
}

const read = {
  ends: [
    [200, 5, 'ab'],
    [200, 14, undefined],
    [503, 0, undefined],
    [200, 2, undefined],
  ],
  bytes: 21,
}

it('reads consecutive answers', () => {
  expect(readIn([answers])).toEqual(read)
})

it('reads them however they are split', () => {
  for (let at = 1; at < answers.length; at++) {
    expect(readIn([answers.subarray(0, at), answers.subarray(at)]), `cut at ${at}`).toEqual(read)
  }
  expect(readIn(Array.from(answers, (byte) => Buffer.of(byte)))).toEqual(read)
})

it('rejects an answer whose end is unknown', () => {
  expect(() => readIn([Buffer.from('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nall')])).toThrow(
    'neither a content length nor chunks',
  )
})
