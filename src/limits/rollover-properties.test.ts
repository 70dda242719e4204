// Cuts of random histories: chats, agent loops and parallel calls in three dialects, with missing or reused ids, and edits.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../base/json.ts'
import { rulesOf } from '../dialects/index.ts'
import { type Fold, fold } from './rollover.ts'

type Shape = 'chat' | 'messages' | 'responses'
type Ids = 'unique' | 'again' | 'none'

interface Exchange {
  /** Characters of each user message. */
  readonly user: readonly number[]
  readonly system: boolean
  /** Characters of the results of each step's calls. A step without calls is the model's final message. */
  readonly steps: readonly (readonly number[])[]
  readonly answer: number
  /** The last step's results follow the next user message. */
  readonly late: boolean
}

interface History {
  readonly messages: readonly JsonValue[]
  /** Index of the call's message and of its result's message. */
  readonly pairs: readonly (readonly [number, number])[]
}

const text = (length: number) => 'x'.repeat(length)

function said(role: string, length: number): JsonValue {
  return { role, content: text(length) }
}

function calling(shape: Shape, ids: readonly string[]): readonly JsonValue[] {
  const named = (id: string, field: string) => (id === '' ? {} : { [field]: id })
  switch (shape) {
    case 'chat': {
      const calls = ids.map((id) => ({ ...named(id, 'id'), function: { name: 'f', arguments: '{}' } }))
      return [{ role: 'assistant', content: null, tool_calls: calls }]
    }
    case 'messages': {
      const uses = ids.map((id) => ({ type: 'tool_use', ...named(id, 'id'), name: 'f', input: {} }))
      return [{ role: 'assistant', content: [{ type: 'text', text: 'well' }, ...uses] }]
    }
    case 'responses': {
      const calls = ids.map((id) => ({ type: 'function_call', ...named(id, 'call_id'), name: 'f', arguments: '{}' }))
      return [{ type: 'reasoning', summary: [] }, ...calls]
    }
  }
}

function answering(shape: Shape, ids: readonly string[], lengths: readonly number[]): readonly JsonValue[] {
  const results = ids.map((id, i): JsonValue => {
    const output = text(lengths[i] ?? 0)
    if (shape === 'chat') return { role: 'tool', ...(id === '' ? {} : { tool_call_id: id }), content: output }
    if (shape === 'responses') {
      return { type: 'function_call_output', ...(id === '' ? {} : { call_id: id }), output }
    }
    return { type: 'tool_result', ...(id === '' ? {} : { tool_use_id: id }), content: output }
  })
  return shape === 'messages' ? [{ role: 'user', content: results }] : results
}

function build(shape: Shape, ids: Ids, exchanges: readonly Exchange[]): History {
  const messages: JsonValue[] = [said('system', 20)]
  const pairs: [number, number][] = []
  let count = 0
  let waiting: (() => void) | undefined
  for (const { user, system, steps, answer, late } of exchanges) {
    for (const length of user) messages.push(said('user', length))
    if (system) messages.push(said('system', 10))
    waiting?.()
    waiting = undefined
    for (const [at, lengths] of steps.entries()) {
      const names = lengths.map((_, i) => (ids === 'none' ? '' : ids === 'again' ? `call_${i}` : `call_${count++}`))
      const first = messages.length
      messages.push(...calling(shape, names))
      const answerNow = () => {
        const results = answering(shape, names, lengths)
        for (const i of names.keys()) {
          const call = shape === 'responses' ? first + 1 + i : first
          pairs.push([call, messages.length + (shape === 'messages' ? 0 : i)])
        }
        messages.push(...results)
      }
      if (late && ids === 'unique' && at === steps.length - 1) waiting = answerNow
      else answerNow()
    }
    messages.push(said('assistant', answer))
  }
  waiting?.()
  return { messages, pairs }
}

const length = fc.oneof({ weight: 8, arbitrary: fc.nat(400) }, { weight: 1, arbitrary: fc.nat(6000) })

function exchangeOf(late: boolean): fc.Arbitrary<Exchange> {
  return fc.record({
    user: fc.array(length, { minLength: 1, maxLength: 2 }),
    system: fc.nat(9).map((n) => n === 0),
    steps: fc.oneof(fc.constant([]), fc.array(fc.array(length, { minLength: 1, maxLength: 3 }), { maxLength: 12 })),
    answer: length,
    late: late ? fc.boolean() : fc.constant(false),
  })
}

const shape = fc.constantFrom<Shape>('chat', 'messages', 'responses')

function historyOf(late: boolean): fc.Arbitrary<{ shape: Shape } & History> {
  return fc
    .tuple(shape, fc.constantFrom<Ids>('unique', 'again', 'none'), fc.array(exchangeOf(late), { maxLength: 14 }))
    .map(([shape, ids, exchanges]) => ({ shape, ...build(shape, ids, exchanges) }))
}

const numbers = fc.record({
  fixed: fc.nat(200),
  limit: fc.integer({ min: 400, max: 4000 }),
  reserve: fc.nat(150),
  to: fc.double({ min: 0.1, max: 0.95, noNaN: true }),
  keepFirst: fc.nat(3),
})

type Numbers = typeof numbers extends fc.Arbitrary<infer T> ? T : never

const sizeOf = (message: JsonValue) => Math.ceil(JSON.stringify(message).length / 4)

function cutOf(shape: Shape, messages: readonly JsonValue[], n: Numbers): Fold {
  return fold({ messages, rules: rulesOf(shape), sizeOf, ...n })
}

function kept(folded: Fold, messages: readonly JsonValue[]): readonly number[] {
  return folded.kind === 'cut' ? folded.keep : [...messages.keys()]
}

function sizeOfKept(keep: readonly number[], messages: readonly JsonValue[], { fixed }: Numbers): number {
  return keep.reduce((sum, i) => sum + sizeOf(messages[i] ?? null), fixed)
}

/** Lengths of the requests that lead to this history: before each run of model messages, and all of it. */
function requests(shape: Shape, messages: readonly JsonValue[]): readonly number[] {
  const { canonical } = rulesOf(shape)
  const fromModel = messages.map((message) => canonical(message).fromModel)
  return [...messages.keys()].filter((i) => i > 0 && fromModel[i] && !fromModel[i - 1]).concat(messages.length)
}

const runs = { numRuns: 200, seed: 5 }

describe.each([false, true])('a cut (late results: %s)', (late) => {
  const history = historyOf(late)

  it('keeps a call exactly if its results are kept', () => {
    fc.assert(
      fc.property(history, numbers, ({ shape, messages, pairs }, n) => {
        const folded = cutOf(shape, messages, n)
        const keep = new Set(kept(folded, messages))

        expect(pairs.filter(([call, result]) => keep.has(call) !== keep.has(result))).toEqual([])
      }),
      runs,
    )
  })

  it('fits, and happens only if the whole history does not fit', () => {
    fc.assert(
      fc.property(history, numbers, ({ shape, messages }, n) => {
        const folded = cutOf(shape, messages, n)
        const room = n.limit - n.reserve

        if (folded.kind === 'impossible') expect(sizeOfKept([...messages.keys()], messages, n)).toBeGreaterThan(room)
        else expect(sizeOfKept(kept(folded, messages), messages, n)).toBeLessThanOrEqual(room)
        if (folded.kind === 'cut') expect(sizeOfKept([...messages.keys()], messages, n)).toBeGreaterThan(room)
      }),
      runs,
    )
  })

  it('keeps all system messages, the newest message, and each message once or not at all', () => {
    fc.assert(
      fc.property(history, numbers, ({ shape, messages }, n) => {
        const folded = cutOf(shape, messages, n)
        if (folded.kind !== 'cut') return
        const { isSystem } = rulesOf(shape)

        expect([...folded.keep, ...folded.cut].sort((a, b) => a - b)).toEqual([...messages.keys()])
        expect(folded.cut.length).toBeGreaterThan(0)
        expect(folded.cut.some((i) => isSystem(messages[i] ?? null))).toBe(false)
        expect(folded.keep.at(-1)).toBe(messages.length - 1)
        const others = folded.keep.filter((i) => !isSystem(messages[i] ?? null))
        expect(others).toEqual([...others].sort((a, b) => a - b))
      }),
      runs,
    )
  })

  it('stays in place until the rest no longer fits, and then only grows', () => {
    fc.assert(
      fc.property(history, numbers, ({ shape, messages, pairs }, n) => {
        let before: Fold = { kind: 'whole' }
        let length = 0
        for (const end of requests(shape, messages)) {
          const now = cutOf(shape, messages.slice(0, end), n)
          if (now.kind === 'impossible') return
          const cutBefore = before.kind === 'cut' ? before.cut : []
          const cutNow = now.kind === 'cut' ? now.cut : []
          expect(cutNow).toEqual(expect.arrayContaining([...cutBefore]))
          const stays = [...kept(before, messages.slice(0, length)), ...range(length, end)]
          const fits = sizeOfKept(stays, messages, n) <= n.limit - n.reserve
          // A result of a call that was already cut: it must be cut too.
          const late = pairs.some(([call, result]) => cutBefore.includes(call) && result >= length && result < end)
          if (fits && !late)
            expect(now.kind === 'cut' ? now.digest : '').toBe(before.kind === 'cut' ? before.digest : '')
          else expect(cutNow.length).toBeGreaterThan(cutBefore.length)
          before = now
          length = end
        }
      }),
      runs,
    )
  })

  it('is the same for equal histories', () => {
    fc.assert(
      fc.property(history, numbers, ({ shape, messages }, n) => {
        const again = JSON.parse(JSON.stringify(messages)) as JsonValue[]

        expect(cutOf(shape, again, n)).toEqual(cutOf(shape, messages, n))
      }),
      runs,
    )
  })

  it('of an edited history does not depend on the earlier version', () => {
    fc.assert(
      fc.property(history, numbers, fc.nat(), fc.nat(500), ({ shape, messages }, n, place, length) => {
        const ends = requests(shape, messages)
        const end = ends[place % ends.length] ?? 0
        const edited = [...messages.slice(0, end), said('assistant', length), said('user', length)]
        cutOf(shape, messages, n)

        const folded = cutOf(shape, edited, n)

        expect(folded).toEqual(cutOf(shape, structuredClone(edited), n))
        const before = cutOf(shape, messages.slice(0, end), n)
        if (before.kind === 'cut' && folded.kind === 'cut')
          expect(folded.cut).toEqual(expect.arrayContaining([...before.cut]))
      }),
      runs,
    )
  })
})

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}
