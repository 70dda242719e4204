import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../base/json.ts'
import type { ComparedTurn } from './prefix-break.ts'
import { type Circumstances, explainBreak, isCold } from './prefix-break-cause.ts'

const LONG = 'word '.repeat(800)
const user = (content: string): JsonValue => ({ role: 'user', content })
const assistant = (content: string, more: object = {}): JsonValue => ({ role: 'assistant', content, ...more })

/** A turn with its reply as the last message. */
const turn = (...messages: JsonValue[]): ComparedTurn => ({
  prompt: { dialect: 'chat', model: 'm', messages, shaping: {} },
  replyAt: messages.length - 1,
})

/** Counts of two turns: the previous prompt and answer, this prompt and its cached part. */
function counts(
  last: [number, number],
  now: [number, number | undefined],
  more: Partial<Circumstances> = {},
): Circumstances {
  const [promptTokens, cachedTokens] = now
  const usage = { promptTokens, completionTokens: 5, totalTokens: promptTokens + 5 }
  return {
    before: { promptTokens: last[0], completionTokens: last[1] },
    now: cachedTokens === undefined ? usage : { ...usage, cachedTokens },
    isNew: false,
    several: false,
    ...more,
  }
}

const first = [user(LONG), assistant('two'), user(LONG), assistant('four'), user('five')]
const last = turn(...first, assistant('six'))
const next = turn(...first, assistant('six'), user('seven'), assistant('eight'))

describe('a turn is cold', () => {
  it.each([
    // [expected, cached]
    [1_300, 960, true],
    [1_280, 960, false],
    [320, 0, false],
    [321, 0, true],
    [10_000, 7_500, false],
    [10_000, 7_499, true],
  ])('with %i expected tokens and %i cached: %s', (expected, cached, cold) => {
    expect(isCold(expected, cached)).toBe(cold)
  })

  it('never if the engine reports no counts', () => {
    expect(isCold(10_000, undefined)).toBe(false)
  })
})

describe('no break is found for', () => {
  it.each([
    ['a warm turn', [2_000, 20], [2_040, 2_016]],
    ['the part after the last restored chunk', [2_000, 20], [2_040, 1_792]],
    ['a small context', [250, 20], [300, 0]],
    ['an engine that reports no cached tokens', [2_000, 20], [2_040, undefined]],
    ['a long reply evicted by the engine, and never in LMCache', [2_000, 2_000], [4_040, 1_792]],
  ] as const)('%s', (_, before, now) => {
    expect(explainBreak(last, next, counts([...before], [...now]))).toBeUndefined()
  })

  it('an edit of the last message, of any length', () => {
    const edited = turn(...first.slice(0, 4), user(LONG), assistant('other'))

    expect(explainBreak(last, edited, counts([2_000, 20], [2_800, 1_900]))).toBeUndefined()
    const early = turn(user(LONG), assistant('two'), user(`${LONG}!`), assistant('other'))
    expect(explainBreak(last, early, counts([2_000, 20], [1_990, 960]))).toBeUndefined()
  })

  it('one of several answers, which the client continued', () => {
    const chosen = turn(...first, assistant('another'), user('seven'), assistant('eight'))

    expect(explainBreak(last, chosen, counts([2_000, 4_000], [4_040, 1_984], { several: true }))).toBeUndefined()
  })

  it('another conversation under the same name', () => {
    const title = turn(user(`Write a title for: ${LONG}`), assistant('Words'))

    expect(explainBreak(last, title, counts([2_000, 20], [1_000, 0]))).toBeUndefined()
  })
})

describe('the cause', () => {
  it('is an old message, even if its edit explains all missing tokens', () => {
    const now = turn(
      user(LONG),
      assistant('two'),
      user(`!${LONG}`),
      ...first.slice(3),
      assistant('six'),
      user('x'),
      assistant('y'),
    )

    expect(explainBreak(last, now, counts([2_000, 20], [2_040, 992]))).toEqual({
      cause: 'message',
      message: 2,
      field: 'content',
      offset: 0,
      expectedTokens: 2_020,
    })
  })

  it('is an eviction if far less is cached than precedes the edit', () => {
    const now = turn(
      user(LONG),
      assistant('two'),
      user(`!${LONG}`),
      ...first.slice(3),
      assistant('six'),
      user('x'),
      assistant('y'),
    )

    const explained = explainBreak(last, now, counts([2_000, 20], [2_040, 0]))

    expect(explained?.cause).toBe('evicted')
    expect(explained?.expectedTokens).toBeGreaterThan(900)
    expect(explained?.expectedTokens).toBeLessThan(1_100)
  })

  it('is an eviction if nothing differs, or the client went back', () => {
    expect(explainBreak(last, next, counts([2_000, 20], [2_040, 0]))).toEqual({
      cause: 'evicted',
      expectedTokens: 2_000,
    })
    expect(explainBreak(last, turn(user(LONG), assistant('again')), counts([2_000, 20], [990, 0]))).toEqual({
      cause: 'evicted',
      expectedTokens: 990,
    })
  })

  it('is the newest reply if the client rewrote it', () => {
    const now = turn(...first, assistant(LONG.trim()), user('x'), assistant('y'))

    expect(explainBreak(turn(...first, assistant(LONG)), now, counts([2_000, 1_000], [3_040, 1_984]))).toMatchObject({
      cause: 'message',
      message: 5,
      offset: LONG.trim().length,
    })
  })

  it('is the reply if the prompt is shorter than the previous one: the template dropped its reasoning', () => {
    const reasoned = turn(...first, assistant(LONG, { reasoning: LONG }))
    const now = turn(...first, assistant(LONG), user('seven'), assistant('eight'))

    expect(explainBreak(reasoned, now, counts([2_000, 2_000], [3_040, 1_792]))).toEqual({
      cause: 'reply',
      expectedTokens: 3_040,
    })
    // The reasoning itself is not missing, because it is not in the prompt.
    expect(explainBreak(reasoned, next, counts([2_000, 1_000], [2_040, 1_984]))).toBeUndefined()
  })

  it('is the reply if its KV ends exactly where a reply of tool calls starts', () => {
    const calls = { tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: `{"a":"${LONG}"}` } }] }
    const called = turn(...first, assistant('', calls))
    const now = turn(...first, assistant('', calls), { role: 'tool', tool_call_id: 'c', content: 'r' }, assistant('y'))

    expect(explainBreak(called, now, counts([2_000, 1_000], [3_040, 1_984]))).toMatchObject({ cause: 'reply' })
    // Whole chunks: LMCache may also have restored them.
    expect(explainBreak(called, now, counts([2_000, 1_000], [3_040, 1_792]))).toBeUndefined()
  })

  it('is dropped reasoning of earlier replies, unless the tokens before it are missing too', () => {
    const steps = [user(LONG), assistant('a', { reasoning: LONG }), user('tool'), assistant('b', { reasoning: LONG })]
    const before = turn(...steps, user('tool'), assistant('c'))
    const now = turn(...steps, user('tool'), assistant('c'), user('x'), assistant('y'))

    expect(explainBreak(before, now, counts([3_000, 20], [1_100, 992]))).toBeUndefined()
    expect(explainBreak(before, now, counts([4_000, 20], [2_900, 1_200]))?.cause).toBe('reply')
    expect(explainBreak(before, now, counts([4_000, 20], [2_900, 0]))?.cause).toBe('evicted')
  })

  it('is rewritten arguments only if the cached part may end there', () => {
    const calling = (args: string) =>
      assistant('', { tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: args } }] })
    const exchange = (args: string) => [user(LONG), calling(args), { role: 'tool', tool_call_id: 'c', content: LONG }]
    const before = turn(...exchange('{"a":1,"b":2}'), assistant('two'))
    const now = turn(...exchange('{"b":2,"a":1}'), assistant('two'), user('x'), assistant('y'))

    expect(explainBreak(before, now, counts([2_000, 20], [2_040, 992]))).toMatchObject({
      cause: 'message',
      message: 1,
      field: 'tool_calls[0].function.arguments',
    })
    expect(explainBreak(before, now, counts([2_000, 20], [2_040, 0]))).toMatchObject({ cause: 'evicted' })
  })
})

describe('in a new session', () => {
  const isNew = { isNew: true }

  it('an edit after the first message is reported, even if nothing was cached', () => {
    const now = turn(user(LONG), assistant('two!'), ...first.slice(2), assistant('six'), user('x'), assistant('y'))

    expect(explainBreak(last, now, counts([2_000, 0], [2_040, 0], isNew))).toMatchObject({
      cause: 'message',
      message: 1,
      offset: 3,
    })
  })

  it('a history that differs in its first message is another one', () => {
    const now = turn(user(`!${LONG}`), ...first.slice(1), assistant('six'), user('x'), assistant('y'))

    expect(explainBreak(last, now, counts([2_000, 0], [2_040, 0], isNew))).toBeUndefined()
  })

  it('nothing else is reported', () => {
    expect(explainBreak(last, next, counts([2_000, 0], [2_040, 0], isNew))).toBeUndefined()
  })
})
