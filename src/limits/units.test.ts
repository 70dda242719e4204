// Places where a conversation may restart.

import { describe, expect, it } from 'vitest'
import type { JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import { classifyMessage, Units } from './units.ts'

function unitsOf(dialect: Dialect, messages: readonly JsonValue[]): Units {
  const units = new Units()
  for (const message of messages) units.add(classifyMessage(message, rulesOf(dialect)))
  return units
}

function places(dialect: Dialect, messages: readonly JsonValue[]) {
  const { soundTurns, soundSteps } = unitsOf(dialect, messages)
  return { turns: soundTurns.map(({ start }) => start), steps: soundSteps.map(({ start }) => start) }
}

const system = { role: 'system', content: 's' }
const user = { role: 'user', content: 'u' }
const model = { role: 'assistant', content: 'a' }
const calls = (...ids: string[]) => ({ role: 'assistant', tool_calls: ids.map((id) => (id === '' ? {} : { id })) })
const result = (id: string) => ({ role: 'tool', content: 'r', ...(id === '' ? {} : { tool_call_id: id }) })

describe('a turn', () => {
  it('starts at the first of consecutive user messages, across system messages', () => {
    const messages = [system, user, user, model, system, user, system, user]

    expect(places('chat', messages)).toEqual({ turns: [1, 5], steps: [3] })
    expect(unitsOf('chat', messages).turns.map(({ start, end }) => [start, end])).toEqual([
      [1, 3],
      [5, 8],
    ])
  })

  it("never starts at a result, although Anthropic's results are user messages", () => {
    const use = { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] }
    const answer = {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'a' },
        { type: 'text', text: 'go on' },
      ],
    }

    expect(places('messages', [user, use, answer, model, user])).toEqual({ turns: [0, 4], steps: [1, 3] })
  })
})

describe('a step', () => {
  it('is one run of model messages, with its results', () => {
    const messages = [user, calls('a', 'b'), result('b'), result('a'), calls('c'), result('c'), model]

    expect(places('chat', messages)).toEqual({ turns: [0], steps: [1, 4, 6] })
  })

  it("of Responses starts at the model's reasoning and includes parallel calls", () => {
    const call = (id: string) => ({ type: 'function_call', call_id: id, name: 'f', arguments: '' })
    const output = (id: string) => ({ type: 'function_call_output', call_id: id, output: '' })
    const items = [user, { type: 'reasoning' }, call('a'), call('b'), output('b'), output('a'), call('c'), output('c')]

    expect(places('responses', items)).toEqual({ turns: [0], steps: [1, 6] })
  })

  it('belongs to no turn if the model spoke first', () => {
    expect(unitsOf('chat', [model, user, model]).soundSteps.map(({ turn }) => turn?.start)).toEqual([undefined, 1])
  })
})

describe('no place lies between a call and its result', () => {
  const cases: [string, Dialect, JsonValue[], { turns: number[]; steps: number[] }][] = [
    ['that comes late', 'chat', [user, calls('a'), user, model, result('a'), user], { turns: [0, 5], steps: [1] }],
    [
      'whose id is reused',
      'chat',
      [user, calls('a'), result('a'), calls('a'), result('a'), user],
      { turns: [0, 5], steps: [1, 3] },
    ],
    [
      'whose id belongs to two open calls',
      'chat',
      [user, calls('a'), user, calls('a'), result('a'), result('a'), model],
      { turns: [0], steps: [1, 6] },
    ],
    [
      'that comes twice',
      'chat',
      [user, calls('a'), result('a'), model, result('a'), model],
      { turns: [0], steps: [1, 5] },
    ],
    [
      'that comes twice, behind another call',
      'chat',
      [user, calls('a'), result('a'), calls('b'), result('a')],
      { turns: [0], steps: [1] },
    ],
    [
      'without an id, for two open calls',
      'chat',
      [user, calls(''), system, calls(''), result(''), result('')],
      { turns: [0], steps: [1] },
    ],
    [
      'without an id',
      'chat',
      [user, calls('', 'b'), model, result(''), result(''), calls(''), result('')],
      { turns: [0], steps: [1, 5] },
    ],
    [
      'with an unknown id',
      'chat',
      [user, calls('a'), model, system, model, result('b'), model],
      { turns: [0], steps: [1, 6] },
    ],
    ['without any call', 'chat', [result('a'), result('b'), model, user], { turns: [3], steps: [2] }],
    [
      "of OpenAI's legacy functions",
      'chat',
      [user, { role: 'assistant', function_call: {} }, { role: 'function', name: 'f' }, model],
      { turns: [0], steps: [1, 3] },
    ],
    [
      'whose call is an item reference',
      'responses',
      [user, { type: 'item_reference', id: 'x' }, { type: 'function_call_output', call_id: 'a' }, model],
      { turns: [0], steps: [3] },
    ],
  ]

  it.each(cases)('%s', (_, dialect, messages, expected) => {
    expect(places(dialect, messages)).toEqual(expected)
  })

  it('ignores a call that was never answered', () => {
    expect(places('chat', [user, calls('a'), user, calls('b'), result('b')])).toEqual({ turns: [0, 2], steps: [1, 3] })
  })
})
