// Any event stream that the standard allows, split at every byte: the framer returns all of it, and its content does not depend on the
// split.

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dialects, rulesOf } from '../../src/dialects/index.ts'
import { decodeEvent, decodeJsonEvents, type SseEvent, splitEvents } from '../../src/sse/decode.ts'
import { EventFramer, endOfLastEvent } from '../../src/sse/frame.ts'
import { cutAt } from '../support/cuts.ts'
import { RUNS_TIMEOUT_MS, runs } from '../support/runs.ts'

interface Answers {
  readonly answers: readonly {
    readonly request: { readonly path: string }
    readonly response: { readonly body: unknown; readonly content_type: string | null }
  }[]
}

const recorded = JSON.parse(readFileSync(new URL('../recorded/vllm.json', import.meta.url), 'utf8')) as Answers
const streams = recorded.answers.flatMap(({ request: { path }, response: { body, content_type: type } }) => {
  const dialect = dialects.find((rules) => rules.path === path)?.dialect
  return dialect !== undefined && type?.startsWith('text/event-stream') === true && typeof body === 'string'
    ? [{ dialect, bytes: Buffer.from(body) }]
    : []
})

const BOM = '\ufeff'
/** The line ends that one stream mixes. */
const lineEnds = fc.constantFrom(['\n'], ['\r\n'], ['\r'], ['\n', '\r\n'])
const words = fc.string({ unit: fc.constantFrom('a', ':', ' ', '{', '"', 'é', '漢', '🎈', '\ufeff', '\u2028') })
const otherLine = fc.oneof(
  words.map((text) => `:${text}`),
  fc.constantFrom('id: 7', 'retry: 5', 'data2: x', 'Data: x', ' data: x', 'x'),
)

interface Written {
  readonly lines: readonly string[]
  readonly event: SseEvent | undefined
}

const written: fc.Arbitrary<Written> = fc
  .record({
    data: fc.array(fc.tuple(words, fc.boolean()), { maxLength: 3 }),
    name: fc.option(fc.constantFrom('message_stop', 'x', '')),
    other: fc.array(otherLine, { maxLength: 2 }),
    otherFirst: fc.boolean(),
  })
  .map(({ data, name, other, otherFirst }) => {
    const text = data.map(([value]) => value)
    // A space after the colon is not part of the value, so a value with a leading space needs one.
    const dataLines = data.map(([value, bare]) => `data:${bare && !value.startsWith(' ') ? '' : ' '}${value}`)
    const named = name === null ? [] : [`event: ${name}`]
    const own = [...named, ...dataLines]
    const event = { ...(name === null ? {} : { event: name }), data: text.join('\n') }
    return {
      lines: otherFirst ? [...other, ...own] : [...own, ...other],
      event: data.length === 0 ? undefined : event,
    }
  })

const stream = fc.record({
  events: fc.array(written, { minLength: 1, maxLength: 5 }),
  ends: lineEnds,
  turns: fc.array(fc.nat(1), { minLength: 1, maxLength: 7 }),
  unfinished: fc.constantFrom('', 'data: cut off', 'event: x'),
})

/** The bytes of these lines, with an empty line after each event. */
function wire(events: readonly (readonly string[])[], ends: readonly string[], turns: readonly number[]): string {
  const lines = events.flatMap((event) => [...event, ''])
  return lines.map((line, i) => line + (ends[(turns[i % turns.length] ?? 0) % ends.length] ?? '')).join('')
}

/** The client's bytes for these byte chunks, part by part, and the incomplete rest. */
function frame(chunks: readonly Buffer[]): { readonly parts: Buffer[]; readonly rest: Buffer } {
  const framer = new EventFramer(1024 * 1024)
  const parts = chunks.flatMap((chunk) => [...framer.push(chunk)])
  return { parts, rest: Buffer.concat(framer.takeRest()) }
}

function read(bytes: Buffer): SseEvent[] {
  return splitEvents(bytes).flatMap((event) => decodeEvent(event) ?? [])
}

/** Runs thousands of times, where an `expect` for each would cost more than everything else. */
function check(bytes: Buffer, cuts: readonly number[], wanted: string): void {
  const { parts, rest } = frame(cutAt(bytes, cuts))
  const same = Buffer.concat([...parts, rest]).equals(bytes)
  const whole = parts.every((part) => part.length === 0 || endOfLastEvent(part) === part.length)
  if (!same || !whole) expect.unreachable(`cut at ${cuts.join()}, it was ${same ? 'cut within an event' : 'changed'}`)
  const got = JSON.stringify(parts.flatMap(read))
  if (got !== wanted) expect(`cut at ${cuts.join()}: ${got}`).toBe(wanted)
}

describe('any event stream', { timeout: RUNS_TIMEOUT_MS }, () => {
  it('is parsed according to the standard, with every line end, and the same wherever it is split', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(300), { maxLength: 9 }), ({ events, ends, turns, unfinished }, cuts) => {
        const bytes = Buffer.from(
          wire(
            events.map(({ lines }) => lines),
            ends,
            turns,
          ) + unfinished,
        )
        const wanted = events.flatMap(({ event }) => event ?? [])

        expect(read(bytes)).toEqual(wanted)
        check(bytes, cuts, JSON.stringify(wanted))
        check(bytes, [...bytes.keys()], JSON.stringify(wanted))
        for (let at = 0; at <= bytes.length; at++) check(bytes, [at], JSON.stringify(wanted))
      }),
      runs(60),
    )
  })
})

describe('a recorded answer of any dialect', { timeout: RUNS_TIMEOUT_MS }, () => {
  const disguise = fc.record({
    which: fc.nat(streams.length - 1),
    ends: lineEnds,
    turns: fc.array(fc.nat(1), { minLength: 1, maxLength: 7 }),
    bom: fc.boolean(),
    comments: fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }),
    spread: fc.boolean(),
    cuts: fc.array(fc.nat(60_000), { maxLength: 60 }),
  })

  it('is parsed the same with a byte order mark, comments, data over several lines, other line ends, and any splits', () => {
    fc.assert(
      fc.property(disguise, ({ which, ends, turns, bom, comments, spread, cuts }) => {
        const { dialect, bytes } = streams[which] ?? expect.unreachable('no such stream')
        const events = read(bytes).flatMap(({ event, data }, i) => {
          const lines = spread && data !== '[DONE]' ? JSON.stringify(JSON.parse(data), null, 1).split('\n') : [data]
          const name = event === undefined ? [] : [`event: ${event}`]
          const own = [...name, ...lines.map((line) => `data: ${line}`)]
          return comments[i % comments.length] === true ? [[': ping'], [': well', ...own]] : [own]
        })
        const disguised = Buffer.from((bom ? BOM : '') + wire(events, ends, turns))
        const { observeEvents } = rulesOf(dialect)

        const { parts } = frame(cutAt(disguised, cuts))

        expect(observeEvents(decodeJsonEvents(Buffer.concat(parts)))).toEqual(observeEvents(decodeJsonEvents(bytes)))
      }),
      runs(60),
    )
  })
})
