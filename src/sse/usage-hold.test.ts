// The only change to answer bytes, compared with what vLLM itself sends if usage is not requested.

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { splitEvents } from './decode.ts'
import { UsageHold } from './usage-hold.ts'

interface Answers {
  readonly answers: readonly { readonly name: string; readonly response: { readonly body: unknown } }[]
}

const files = [new URL('../../test/recorded/vllm.json', import.meta.url)]
const answers = files.flatMap((file) => (JSON.parse(readFileSync(file, 'utf8')) as Answers).answers)

function stream(name: string): string {
  const body = answers.find((answer) => answer.name === name)?.response.body
  if (typeof body !== 'string') throw new Error(`no recorded stream '${name}'`)
  return body
}

/** Only ids and times may differ between recordings. */
function sameRun(text: string): string {
  return text
    .replace(/"id":"(chatcmpl-|cmpl-)(tool-)?[0-9a-f]+"/g, '"id":"$1$2X"')
    .replace(/"created":\d+/g, '"created":0')
}

/** The client's bytes for these bytes, and the result of each event. */
function hold(text: string, maxHeldBytes = 1024 * 1024): { text: string; steps: number[] } {
  const filter = new UsageHold(maxHeldBytes)
  const parts = splitEvents(Buffer.from(text)).map((event) => filter.push(event))
  const out = Buffer.concat([...parts.flat(), ...filter.flush()])
  return { text: out.toString(), steps: parts.map((part) => part.length) }
}

const delta = (index: number, content: string, finish: string | null = null) =>
  `data: {"id":"c","choices":[{"index":${index},"delta":{"content":${JSON.stringify(content)}},"finish_reason":${JSON.stringify(finish)}}]}\n\n`
const usage = 'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1},"system_fingerprint":"fp"}\n\n'
const done = 'data: [DONE]\n\n'
const withPrint = (event: string) => event.replace(/}\n\n$/, ',"system_fingerprint":"fp"}\n\n')

describe('UsageHold', () => {
  it.each([
    ['chat, stream with usage', 'chat, stream without usage'],
    ['chat, stream n=2 with usage', 'chat, stream n=2 without usage'],
    ['chat, tool called, stream with usage', 'chat, tool called, stream without usage'],
    ['completions, stream with usage', 'completions, stream without usage'],
  ])('turns "%s" into exactly the bytes of "%s"', (asked, unasked) => {
    expect(sameRun(hold(stream(asked)).text)).toBe(sameRun(stream(unasked)))
  })

  it.each([
    'chat, stream without usage',
    'chat, stream n=2 without usage',
    'chat, tool called, stream without usage',
    'chat, stream ended by itself',
    'completions, stream without usage',
    'anthropic messages, stream',
    'responses, stream',
  ])('does not change "%s"', (name) => {
    const text = stream(name)
    const withoutUsage = splitEvents(Buffer.from(text))
      .map(String)
      .filter((event) => !event.includes('"choices":[]'))
      .join('')

    if (text === withoutUsage) expect(hold(text).text).toBe(text)
    else expect(hold(text).text).not.toContain('"usage"')
  })

  it('holds nothing before the first event with a finish_reason', () => {
    const events = [delta(0, 'a'), delta(0, 'b'), delta(0, 'c', 'stop'), usage, done]

    expect(hold(events.join('')).steps).toEqual([1, 1, 0, 1, 1])
  })

  it('holds the other choices after the first that finished, in their order', () => {
    const events = [delta(0, 'a', 'stop'), delta(1, 'b'), delta(1, 'c', 'length'), usage, done]

    expect(hold(events.join(''))).toEqual({
      text: [withPrint(delta(0, 'a', 'stop')), delta(1, 'b'), withPrint(delta(1, 'c', 'length')), done].join(''),
      steps: [0, 0, 0, 3, 1],
    })
  })

  it('releases everything unchanged if the stream ends without a usage event', () => {
    const text = [delta(0, 'a'), delta(0, '', 'stop'), done].join('')

    expect(hold(text)).toEqual({ text, steps: [1, 0, 2] })
  })

  it('releases everything if the stream breaks after the finish', () => {
    const text = [delta(0, 'a'), delta(0, '', 'stop')].join('')

    expect(hold(text).text).toBe(text)
  })

  it('passes an error event at once, or in its place after a finish', () => {
    const error = 'data: {"error":{"message":"out of memory","type":"server_error","code":500}}\n\n'
    const early = [delta(0, 'a'), error, done].join('')
    const late = [delta(0, 'a', 'stop'), error, done].join('')

    expect(hold(early)).toEqual({ text: early, steps: [1, 1, 1] })
    expect(hold(late).text).toBe(late)
  })

  it('releases what exceeds the limit, and still drops the usage event', () => {
    const finish = delta(0, 'a', 'stop')
    const long = delta(1, 'x'.repeat(1000))

    expect(hold([finish, long, delta(1, 'b'), usage, done].join(''), 500)).toEqual({
      text: [finish, long, delta(1, 'b'), done].join(''),
      steps: [0, 2, 1, 0, 1],
    })
  })

  it('drops a usage event before any finish', () => {
    expect(hold([delta(0, 'a'), usage, delta(0, 'b', 'stop'), done].join('')).text).toBe(
      [delta(0, 'a'), delta(0, 'b', 'stop'), done].join(''),
    )
  })

  it('accepts spaces as Python writes them', () => {
    const spaced = 'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'
    const spacedUsage = 'data: {"choices": [ ], "usage": {"prompt_tokens": 1}, "system_fingerprint": "fp"}\n\n'

    expect(hold(spaced + spacedUsage + done).text).toBe(
      'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],"system_fingerprint": "fp"}\n\ndata: [DONE]\n\n',
    )
  })

  it('does not change a fingerprint that the event already has', () => {
    const finish = withPrint(delta(0, 'a', 'stop'))

    expect(hold(finish + usage + done).text).toBe(finish + done)
  })

  it("does not confuse a reply's text with the form of an event", () => {
    const tricky = [
      delta(0, '"finish_reason":"stop"'),
      delta(0, '"choices":[],"usage":{}'),
      delta(0, '\n\ndata: [DONE]\n\n'),
      delta(0, 'finish_reason'),
    ]

    expect(hold([...tricky, delta(0, '', 'stop'), usage, done].join(''))).toEqual({
      text: [...tricky, withPrint(delta(0, '', 'stop')), done].join(''),
      steps: [1, 1, 1, 1, 0, 1, 1],
    })
  })

  // Azure starts a stream with an event without choices that has the content filter's result and `usage: null`.
  it('does not drop an event without choices and without usage', () => {
    const verdict = 'data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}],"usage":null}\n\n'
    const text = [verdict, delta(0, 'a', 'stop'), done].join('')

    expect(hold(text).text).toBe(text)
  })

  it('keeps CRLF and unknown fields of an event', () => {
    const finish = 'data: {"choices":[{"index":0,"finish_reason":"stop"}],"x":1}\r\n\r\n'

    expect(hold(finish + usage.replaceAll('\n', '\r\n') + done).text).toBe(
      `data: {"choices":[{"index":0,"finish_reason":"stop"}],"x":1,"system_fingerprint":"fp"}\r\n\r\n${done}`,
    )
  })
})
