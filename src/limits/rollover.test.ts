// Where histories are cut, by example, including those that can hardly be cut. Each character of content is one token.

import { describe, expect, it } from 'vitest'
import { isObject, type JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import { cutTag, type Fold, type FoldRequest, fold } from './rollover.ts'

const x = (length: number) => 'x'.repeat(length)
const system = (length: number) => ({ role: 'system', content: x(length) })
const user = (length: number) => ({ role: 'user', content: x(length) })
const model = (length: number) => ({ role: 'assistant', content: x(length) })
const call = (id: string) => ({ role: 'assistant', tool_calls: [{ id }] })
const result = (id: string, length: number) => ({ role: 'tool', tool_call_id: id, content: x(length) })

function sizeOf(message: JsonValue): number {
  return isObject(message) && typeof message.content === 'string' ? message.content.length : 0
}

/** 90 tokens of room; a cut leaves at most 50. */
const numbers = { sizeOf, fixed: 0, limit: 100, reserve: 10, to: 0.5, keepFirst: 0 }

function cut(messages: readonly JsonValue[], other: Partial<FoldRequest> = {}, dialect: Dialect = 'chat'): Fold {
  return fold({ messages, rules: rulesOf(dialect), ...numbers, ...other })
}

describe('a history that fits', () => {
  it('stays whole up to the last token of room', () => {
    expect(cut([user(40), model(40), user(10)])).toEqual({ kind: 'whole' })
    expect(cut([user(40), model(40), user(10)], { fixed: 1 })).toMatchObject({ kind: 'cut' })
  })

  it('stays whole without messages, and with system messages only', () => {
    expect(cut([])).toEqual({ kind: 'whole' })
    expect(cut([{}, null, ''])).toEqual({ kind: 'whole' })
    expect(cut([system(90)])).toEqual({ kind: 'whole' })
  })
})

describe('a chat', () => {
  const chat = [system(5), user(20), model(20), user(20), model(20), user(10)]

  it('keeps system messages and the newest complete exchanges that fit the share', () => {
    expect(cut(chat)).toMatchObject({ kind: 'cut', keep: [0, 5], cut: [1, 2, 3, 4] })
    expect(cut(chat, { to: 0.55 })).toMatchObject({ keep: [0, 3, 4, 5], cut: [1, 2] })
  })

  it('moves system messages of the cut part to the front, and leaves later ones in place', () => {
    const messages = [
      user(30),
      system(1),
      model(30),
      user(10),
      { role: 'developer', content: 'x' },
      model(10),
      user(20),
    ]

    expect(cut(messages)).toMatchObject({ keep: [1, 3, 4, 5, 6], cut: [0, 2] })
  })

  it('keeps its first exchanges when asked to', () => {
    const messages = [system(1), user(5), model(5), user(40), model(20), user(10), model(10), user(10)]

    expect(cut(messages, { keepFirst: 1 })).toMatchObject({ keep: [0, 1, 2, 5, 6, 7], cut: [3, 4] })
  })

  it('drops the first exchanges for good if they leave no room', () => {
    const messages = [user(40), model(20), user(10), model(20), user(20)]
    const longer = [...messages, model(30), user(40)]

    expect(cut(messages, { keepFirst: 1 })).toMatchObject({ keep: [0, 1, 4], cut: [2, 3] })
    expect(cut(longer, { keepFirst: 1 })).toMatchObject({ keep: [6], cut: [0, 1, 2, 3, 4, 5] })
    expect(cut([...longer, model(10), user(5)], { keepFirst: 1 })).toMatchObject({ keep: [6, 7, 8] })
  })

  it('keeps its newest turn even if that exceeds the share', () => {
    expect(cut([user(20), model(20), user(80)])).toMatchObject({ keep: [2], cut: [0, 1] })
  })

  it('first drops what the model said before any user', () => {
    expect(cut([model(60), user(20), model(10), user(10)])).toMatchObject({ keep: [1, 2, 3], cut: [0] })
  })
})

describe("an agent's loop", () => {
  const loop = (steps: number) => {
    return Array.from({ length: steps }, (_, i) => [call(`c${i}`), result(`c${i}`, 10)]).flat()
  }

  it('keeps its task and the newest complete steps', () => {
    const folded = cut([system(5), user(5), ...loop(9)])

    expect(folded).toMatchObject({ keep: [0, 1, 12, 13, 14, 15, 16, 17, 18, 19] })
  })

  it('keeps parallel calls and their results together', () => {
    const parallel = { role: 'assistant', tool_calls: [{ id: 'a' }, { id: 'b' }] }
    const messages = [user(5), ...loop(5), parallel, result('b', 20), result('a', 20)]

    expect(cut(messages)).toMatchObject({ keep: [0, 11, 12, 13] })
  })

  it('keeps the newest steps of the previous task along with a new user message', () => {
    expect(cut([user(5), ...loop(8), model(1), user(10)])).toMatchObject({
      keep: [0, 11, 12, 13, 14, 15, 16, 17, 18],
    })
  })

  it('keeps its newest step even if that exceeds the share', () => {
    expect(cut([user(5), ...loop(3), call('z'), result('z', 70)])).toMatchObject({ keep: [0, 7, 8] })
  })

  it("keeps the task before Anthropic's blocks", () => {
    const blocks = (id: string) => [
      { role: 'assistant', content: [{ type: 'tool_use', id, name: 'f', input: {} }] },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: id, content: x(20) }] },
    ]
    const sizes = (message: JsonValue) => (JSON.stringify(message).includes('tool_result') ? 20 : 1)
    const messages = [user(5), ...blocks('a'), ...blocks('b'), ...blocks('c'), ...blocks('d'), ...blocks('e')]

    expect(cut(messages, { sizeOf: sizes }, 'messages')).toMatchObject({ keep: [0, 7, 8, 9, 10] })
  })

  it('drops a late result of a cut call as soon as a newer step exists to start from', () => {
    const messages = [user(40), call('late'), user(30), model(10), user(20), model(1), result('late', 1)]

    expect(cut(messages.slice(0, 5))).toMatchObject({ keep: [4] })
    expect(cut(messages)).toMatchObject({ kind: 'impossible' })
    expect(cut([...messages, model(1), user(5)])).toMatchObject({ keep: [4, 7, 8], cut: [0, 1, 2, 3, 5, 6] })
  })
})

describe('a history that cannot be cut', () => {
  it('is impossible if its only message is too large, and reports the sizes', () => {
    expect(cut([user(91)])).toEqual({ kind: 'impossible', tokens: 91, room: 90 })
    expect(cut([system(50), user(5), model(5), user(41)])).toEqual({ kind: 'impossible', tokens: 91, room: 90 })
  })

  it('is impossible if everything else leaves no room', () => {
    expect(cut([], { fixed: 91 })).toEqual({ kind: 'impossible', tokens: 91, room: 90 })
    expect(cut([system(91)])).toEqual({ kind: 'impossible', tokens: 91, room: 90 })
  })

  it('is impossible if it consists of results only', () => {
    expect(cut([result('a', 50), result('b', 50)])).toEqual({ kind: 'impossible', tokens: 100, room: 90 })
  })

  it('can be cut again after the oversized message', () => {
    const messages = [user(10), model(10), user(95), model(1), user(5)]

    expect(cut(messages.slice(0, 3))).toMatchObject({ kind: 'impossible' })
    expect(cut(messages)).toMatchObject({ keep: [4], cut: [0, 1, 2, 3] })
  })
})

describe('the caller decides', () => {
  it('the size of an image', () => {
    const picture = { role: 'user', content: [{ type: 'image_url', image_url: { url: 'u' } }] }
    const sizes = (message: JsonValue) => (message === picture ? 60 : sizeOf(message))

    expect(cut([picture, model(20), user(20)], { sizeOf: sizes })).toMatchObject({ keep: [2], cut: [0, 1] })
  })

  it('sizes, which are requested once per message', () => {
    const asked: JsonValue[] = []
    const messages = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? user(i) : model(i)))
    cut(messages, {
      sizeOf: (message) => {
        asked.push(message)
        return sizeOf(message)
      },
    })

    expect(asked).toEqual(messages)
  })

  it('a share, which is limited to the room', () => {
    expect(cut([user(40), model(40), user(40), model(10), user(1)], { to: 1 })).toMatchObject({ keep: [2, 3, 4] })
  })
})

it('keeps a trailing model message that is to be continued, with the user message before it', () => {
  expect(cut([user(30), model(30), user(20), model(20)])).toMatchObject({ keep: [2, 3], cut: [0, 1] })
})

it('treats the plain input of Responses as one message', () => {
  const read = (input: string) => rulesOf('responses').readMessages({ input })

  expect(cut(read(x(90)), {}, 'responses')).toEqual({ kind: 'whole' })
  expect(cut(read(x(91)), {}, 'responses')).toMatchObject({ kind: 'impossible' })
})

describe('the digest', () => {
  const tail = [user(20), model(20), user(10)]

  function digest(messages: readonly JsonValue[], dialect: Dialect = 'chat'): string {
    const folded = cut([...messages, ...tail], {}, dialect)
    return folded.kind === 'cut' ? folded.digest : ''
  }

  it('identifies what was cut, regardless of what is kept', () => {
    const one = digest([user(30), model(20)])

    expect(one).toMatch(/^[0-9a-f]{64}$/)
    expect(digest([system(0), user(30), model(20)])).toBe(one)
    expect(digest([user(30), model(21)])).not.toBe(one)
    expect(digest([user(20), user(10), model(20)])).not.toBe(one)
  })

  it('is the same for two spellings of one history', () => {
    const parts = { role: 'user', content: [{ type: 'text', text: x(30) }] }
    const sizes = (message: JsonValue) => (message === parts ? 30 : sizeOf(message))
    const other = cut([parts, { ...model(20), refusal: null }, ...tail], { sizeOf: sizes })

    expect(other).toMatchObject({ digest: digest([user(30), model(20)]) })
  })

  it('is the same with and without reasoning, which clients may leave out', () => {
    const reasoning = { type: 'reasoning', summary: [] }

    expect(digest([user(30), reasoning, model(20)], 'responses')).toBe(digest([user(30), model(20)], 'responses'))
  })

  it('is abbreviated to its first twelve digits', () => {
    expect(cutTag('0123456789abcdef')).toBe('cut-0123456789ab')
  })
})
