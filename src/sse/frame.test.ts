// Where events end, on recorded streams split at every byte. The result must not depend on how the network splits them.

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { cutAt } from '../../test/support/cuts.ts'
import { RUNS_TIMEOUT_MS, runs } from '../../test/support/runs.ts'
import { decodeEvent, decodeJsonEvents, splitEvents } from './decode.ts'
import { EventFramer, endOfEvent, endOfLastEvent } from './frame.ts'

interface Answers {
  readonly answers: readonly {
    readonly name: string
    readonly response: { readonly body: unknown; readonly content_type: string | null }
  }[]
}

const file = new URL('../../test/recorded/vllm.json', import.meta.url)
const streams = (JSON.parse(readFileSync(file, 'utf8')) as Answers).answers
  .filter(({ response }) => response.content_type?.startsWith('text/event-stream') === true)
  .map(({ name, response }): [string, string] => [name, String(response.body)])

/** Frames a stream in these byte chunks: the output of each push, then the rest. */
function pass(chunks: readonly Buffer[], maxHeldBytes = 1024 * 1024) {
  const framer = new EventFramer(maxHeldBytes)
  const out = chunks.flatMap((chunk) => [...framer.push(chunk)])
  return { out, rest: [...framer.takeRest()] }
}

/** At most the first 4,000 bytes, up to the end of an event. The rest of a long stream only repeats the same formats. */
function head(text: string): Buffer {
  const bytes = Buffer.from(text)
  return bytes.length <= 4000 ? bytes : bytes.subarray(0, endOfLastEvent(bytes.subarray(0, 4000)))
}

describe('a recorded stream', () => {
  it('exists for all four dialects', () => {
    expect(streams.length).toBeGreaterThanOrEqual(18)
  })

  it.each(streams)('%s: yields the same events wherever it is split in two', (_, text) => {
    for (const bytes of [head(text), Buffer.from(head(text).toString().replaceAll('\n', '\r\n'))]) {
      const whole = splitEvents(bytes).map(String)
      for (let at = 0; at <= bytes.length; at++) {
        const { out, rest } = pass(cutAt(bytes, [at]))
        if (Buffer.concat([...out, ...rest]).compare(bytes) !== 0) expect.unreachable(`cut at ${at} changed the bytes`)
        const events = out.flatMap((part) => splitEvents(part).map(String))
        if (events.join('') !== whole.join('') || events.length !== whole.length || rest.length > 0) {
          expect.unreachable(`cut at ${at} gave other events`)
        }
      }
    }
  })

  it.each(streams)('%s: yields the same events byte by byte, each within one part', (_, text) => {
    const bytes = head(text)

    const { out, rest } = pass([...bytes].map((byte) => Buffer.from([byte])))

    expect(out.map(String)).toEqual(splitEvents(bytes).map(String))
    expect(rest).toEqual([])
  })

  it.each(streams)('%s: yields the same JSON with LF and with CRLF', (_, text) => {
    const plain = decodeJsonEvents(Buffer.from(text))

    expect(plain.length).toBeGreaterThan(2)
    expect(decodeJsonEvents(Buffer.from(text.replaceAll('\n', '\r\n')))).toEqual(plain)
  })
})

describe('EventFramer', { timeout: RUNS_TIMEOUT_MS }, () => {
  it('passes whole events on as the same bytes', () => {
    const chunk = Buffer.from('data: a\n\ndata: b\n\n')

    const { out } = pass([chunk])

    expect(out).toHaveLength(1)
    expect(out[0]).toBe(chunk)
  })

  // The reader of these parts looks for whole events in each part and would miss a split one.
  it('returns an event that arrived in pieces as one part', () => {
    expect(
      pass([Buffer.from('data: a\n\ndata: [DO'), Buffer.from('NE]\n'), Buffer.from('\n')]).out.map(String),
    ).toEqual(['data: a\n\n', 'data: [DONE]\n\n'])
  })

  it('holds an incomplete event, and returns it once on request', () => {
    const framer = new EventFramer(100)

    expect(framer.push(Buffer.from('data: a\n\ndata: b')).map(String)).toEqual(['data: a\n\n'])
    expect(framer.heldBytes).toBe(7)
    expect(framer.takeRest().map(String)).toEqual(['data: b'])
    expect(framer.takeRest()).toEqual([])
    expect(framer.heldBytes).toBe(0)
  })

  it('passes an event on before it is complete if it exceeds the limit', () => {
    const framer = new EventFramer(10)

    expect(framer.push(Buffer.from('data: 34'))).toEqual([])
    expect(framer.push(Buffer.from('567')).map(String).join('')).toBe('data: 34567')
    expect(framer.heldBytes).toBe(0)
    expect(framer.push(Buffer.from('8\n\n')).map(String)).toEqual(['8\n\n'])
  })

  it('never holds more than the limit, nor loses or changes a byte, however a stream is split', () => {
    const piece = fc.constantFrom('\n', '\r\n', '\r', 'data: x', ':', 'é', '\n\n', '\r\n\r\n', '[DONE]')
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 40 }),
        fc.array(fc.nat(120), { maxLength: 12 }),
        fc.constantFrom(0, 5, 1000),
        (pieces, cuts, maxHeld) => {
          const bytes = Buffer.from(pieces.join(''))
          const framer = new EventFramer(maxHeld)
          const out: Buffer[] = []
          for (const chunk of cutAt(bytes, cuts)) {
            out.push(...framer.push(chunk))
            expect(framer.heldBytes).toBeLessThanOrEqual(maxHeld)
          }
          const whole = Buffer.concat(out)
          // Only an empty line after an event that was already passed on may wait for the next event.
          if (maxHeld === 1000) {
            expect(bytes.subarray(whole.length, endOfLastEvent(bytes)).toString()).toMatch(/^[\r\n]*$/)
          }
          expect(Buffer.concat([whole, ...framer.takeRest()]).toString()).toBe(bytes.toString())
        },
      ),
      runs(2000),
    )
  })
})

describe('endOfEvent and endOfLastEvent', { timeout: RUNS_TIMEOUT_MS }, () => {
  it.each([
    ['data: a\n\n', 9],
    ['data: a\r\n\r\n', 11],
    ['data: a\n\r\n', 10],
    ['data: a\r\r', 9],
    ['data: a\r\r\n', 10],
    ['data: a\n', -1],
    ['data: a\r\n\r', -1],
    ['data: a', -1],
    ['', -1],
  ])('finds the end of the first event of %j', (text, end) => {
    expect(endOfEvent(Buffer.from(text), 0)).toBe(end)
    expect(endOfLastEvent(Buffer.from(text))).toBe(Math.max(0, end))
  })

  it('agree on the end of the last event in any stream', () => {
    const text = fc.array(fc.constantFrom('\n', '\r\n', '\r', 'a'), { maxLength: 20 })
    fc.assert(
      fc.property(text, (pieces) => {
        const bytes = Buffer.from(pieces.join(''))
        const sizes = splitEvents(bytes).map((event) => event.length)
        // A run of empty lines can be divided into events in several ways. The remaining bytes may then only be line ends.
        const left = bytes.subarray(
          sizes.reduce((sum, size) => sum + size, 0),
          Math.max(0, endOfLastEvent(bytes)),
        )
        expect(left.toString().replace(/[\r\n]/g, '')).toBe('')
      }),
      runs(1000),
    )
  })
})

describe('decodeEvent', () => {
  it.each([
    ['data: a\n\n', { data: 'a' }],
    ['data:a\n\n', { data: 'a' }],
    ['data:  a\n\n', { data: ' a' }],
    ['data\n\n', { data: '' }],
    ['data: a\ndata: b\n\n', { data: 'a\nb' }],
    ['event: x\r\ndata: a\r\n\r\n', { event: 'x', data: 'a' }],
    ['id: 1\nretry: 5\n: note\ndata: a:b\n\n', { data: 'a:b' }],
    [': keep-alive\n\n', undefined],
    ['event: x\n\n', undefined],
    ['\n', undefined],
  ])('parses %j', (text, event) => {
    expect(decodeEvent(Buffer.from(text))).toEqual(event)
  })

  it('omits [DONE], comments, invalid JSON and non-objects from the JSON of a stream', () => {
    const text = 'data: {"a":1}\n\n: c\n\ndata: 5\n\ndata: {"b"\n\ndata: [DONE]\n\ndata: {"c":3}'

    expect(decodeJsonEvents(Buffer.from(text))).toEqual([{ a: 1 }])
  })
})
