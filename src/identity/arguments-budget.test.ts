// Arguments beyond their history's budget, and lists of numbers, which do not count.

import { describe, expect, it } from 'vitest'
import { type JsonValue, parseJson } from '../base/json.ts'
import { ArgumentsBudget, stableArguments, stableJson } from '../dialects/canonical-json.ts'
import { rulesOf } from '../dialects/index.ts'
import { chainOf } from './chain.ts'

const canonical = (message: JsonValue, budget: ArgumentsBudget) => rulesOf('chat').canonical(message, budget)
const call = (args: string): JsonValue => ({
  role: 'assistant',
  tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: args } }],
})
const dense = (items: number) => `[${Array.from({ length: items }, () => '{}').join()}]`

describe('arguments', () => {
  it('are normalized within the budget, and left unchanged beyond it', () => {
    const budget = new ArgumentsBudget(10, 3)

    expect(stableArguments('{ "b": 1, "a": 2 }', budget)).toBe('{"a":2,"b":1}')
    expect(stableArguments('{ }', budget)).toBe('{}')
    expect(stableArguments('[ 1, 2, 3, 4 ]', budget)).toBe('[ 1, 2, 3, 4 ]')
  })

  it('beyond the budget lead to the same boundary that the next turn finds', () => {
    const many = [call(dense(9_000)), ...Array.from({ length: 40 }, () => call(dense(9_000)))]
    const request = [{ role: 'user', content: 'hi' }, ...many, { role: 'user', content: 'go on' }]
    const reply = call('{ "x": 1 }')

    const boundary = chainOf('scope', request, canonical).boundary([reply])
    const next = chainOf('scope', [...request, reply, { role: 'user', content: 'more' }], canonical)

    expect(next.candidates[0]?.digest).toBe(boundary?.digest)
  })
})

describe('an object', () => {
  const ofKeys = (many: number) =>
    Object.fromEntries(Array.from({ length: many }, (_, i) => [`k${many - i}`, i === 0 ? null : 1]))

  it('with a thousand keys is sorted, without nulls', () => {
    expect(stableJson(ofKeys(1_000))).toMatch(/^\{"k1":1,"k10":1,"k100":1,/)
  })

  it('with more keys is written unchanged, at any nesting depth', () => {
    const large = ofKeys(1_001)
    const deep = parseJson(`${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`) as JsonValue

    expect(stableJson(large)).toBe(JSON.stringify(large))
    expect(stableJson({ ...large, deep })).toBe('"too deep"')
    expect(stableArguments({ ...large, deep })).toBe('"too deep"')
  })
})

describe('a list', () => {
  it('of scalars, lists and objects is written item by item', () => {
    const value = [1, -0, null, 'a', [], true, { b: null, a: [1, 'é'] }, 2] as JsonValue[]

    expect(stableJson(value)).toBe(`[${value.map((item) => stableJson(item)).join()}]`)
  })

  it('of numbers in place of tool calls is one text', () => {
    const numbers = Array.from({ length: 100_001 }, () => 1)

    expect(rulesOf('chat').canonical({ role: 'assistant', tool_calls: numbers }).text).toContain(
      `c${2 * numbers.length + 1}:[1,1,`,
    )
  })
})
