import { describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Prompt } from '../base/records.ts'
import { type ComparedTurn, compareTurns } from './prefix-break.ts'

const dialects = ['chat', 'responses', 'messages'] as const

/** A turn with this many messages. The last one is the reply, unless the turn has not been answered yet. */
function turn(
  dialect: Prompt['dialect'],
  messages: readonly JsonValue[],
  { shaping = {}, model = 'm', answered = true }: { shaping?: JsonObject; model?: string; answered?: boolean } = {},
): ComparedTurn {
  return { prompt: { dialect, model, messages, shaping }, replyAt: messages.length - (answered ? 1 : 0) }
}

const said = (role: string, content: JsonValue): JsonObject => ({ role, content })
const user = (content: JsonValue) => said('user', content)
const assistant = (content: JsonValue) => said('assistant', content)

/** The difference between a turn and the next one. */
function differs(
  dialect: Prompt['dialect'],
  last: readonly JsonValue[],
  now: readonly JsonValue[],
  shaping: readonly [JsonObject, JsonObject] = [{}, {}],
) {
  const before = turn(dialect, last, { shaping: shaping[0] })
  const { difference } = compareTurns(before, turn(dialect, now, { shaping: shaping[1], answered: false }))
  if (difference === undefined) return undefined
  const { inReply: _, share: __, ...place } = difference
  return place
}

/** A tool call and its result, in each dialect. */
const toolTurn = (dialect: Prompt['dialect'], args: string): readonly JsonValue[] => {
  if (dialect === 'responses') {
    return [{ type: 'function_call', call_id: 'c', name: 'find', arguments: args }]
  }
  if (dialect === 'messages') {
    return [assistant([{ type: 'tool_use', id: 'c', name: 'find', input: JSON.parse(args) as JsonValue }])]
  }
  return [
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'find', arguments: args } }],
    },
  ]
}
const argumentsField = {
  chat: 'tool_calls[0].function.arguments',
  responses: 'arguments',
  messages: 'content[0].input',
} as const

describe.each(dialects)('in %s', (dialect) => {
  const last = [user('one'), assistant('two'), user('three'), assistant('four')]

  it('a turn that continues the last one does not differ', () => {
    expect(differs(dialect, last, [...last, user('five')])).toBeUndefined()
  })

  it('a turn that goes back, or is regenerated, does not differ', () => {
    expect(differs(dialect, last, last.slice(0, 3))).toBeUndefined()
    expect(differs(dialect, last, last.slice(0, 1))).toBeUndefined()
  })

  it('nulls, empty content and one text part instead of a string do not differ', () => {
    const echoed = [...last.slice(0, 3), { ...assistant([{ type: 'text', text: 'four' }]), refusal: null }]

    expect(differs(dialect, last, [...echoed, user('five')])).toBeUndefined()
  })

  it('an edited old message is reported with the bytes before the edit', () => {
    const edited = [user('one'), assistant('two'), user('thé ree'), assistant('four'), user('five')]

    expect(differs(dialect, [user('one'), assistant('two'), user('thé rose'), assistant('four')], edited)).toEqual({
      cause: 'message',
      message: 2,
      field: 'content',
      offset: 6,
    })
  })

  it('changed white space is reported', () => {
    const now = [user('one '), ...last.slice(1), user('five')]

    expect(differs(dialect, last, now)).toEqual({ cause: 'message', message: 0, field: 'content', offset: 3 })
  })

  it('a rewritten reply is reported as the new message', () => {
    const now = [...last.slice(0, 3), assistant('fore'), user('five')]

    expect(differs(dialect, last, now)).toEqual({ cause: 'message', message: 3, field: 'content', offset: 2 })
  })

  it('the path includes the part of a message', () => {
    const parts = (text: string) =>
      user([
        { type: 'text', text: 'same' },
        { type: 'text', text },
      ])

    expect(differs(dialect, [parts('12:01'), assistant('two')], [parts('12:02'), assistant('two'), user('x')])).toEqual(
      {
        cause: 'message',
        message: 0,
        field: 'content[1].text',
        offset: 4,
      },
    )
  })

  it('arguments with another meaning are reported', () => {
    const first = [user('one'), ...toolTurn(dialect, '{"city":"Bergen"}')]
    const now = [user('one'), ...toolTurn(dialect, '{"city":"Berlin"}'), user('x')]

    expect(differs(dialect, first, now)).toEqual({
      cause: 'message',
      message: 1,
      field: argumentsField[dialect],
      offset: 12,
    })
  })

  it('arguments in another JSON format are a slight difference', () => {
    const first = turn(dialect, [user('one'), ...toolTurn(dialect, '{"a":1,"b":2}')])
    const now = turn(dialect, [user('one'), ...toolTurn(dialect, '{"b":2,"a":1}'), user('x')], { answered: false })

    const { difference, slight } = compareTurns(first, now)

    expect(difference).toBeUndefined()
    expect(slight).toMatchObject({
      cause: 'message',
      message: 1,
      field: argumentsField[dialect],
      offset: 2,
      inReply: true,
    })
  })

  it('reordered tools are reported at the first that moved', () => {
    const tool = (name: string): JsonObject =>
      dialect === 'chat' ? { type: 'function', function: { name } } : { type: 'function', name }
    const tools = (names: string[]): JsonObject => ({ tools: names.map(tool) })

    expect(differs(dialect, last, last, [tools(['a', 'to', 'tea']), tools(['a', 'tea', 'to'])])).toEqual({
      cause: 'tools',
      field: dialect === 'chat' ? 'tools[1].function.name' : 'tools[1].name',
      offset: 1,
    })
    expect(differs(dialect, last, last, [tools(['a']), tools(['a', 'b'])])).toEqual({
      cause: 'tools',
      field: 'tools[1]',
    })
  })

  it('another model is reported before anything else', () => {
    const { difference } = compareTurns(
      turn(dialect, last),
      turn(dialect, [user('uno'), assistant('two')], { model: 'n' }),
    )

    expect(difference).toMatchObject({ cause: 'model', field: 'model' })
  })

  it('names chosen by a client are not reported', () => {
    const part = (value: string) =>
      user([
        { type: 'text', text: 'a' },
        { type: 'custom', 'my secret': value },
      ])

    const told = differs(dialect, [part('x'), assistant('two')], [part('y'), assistant('two'), user('z')])

    expect(told).toEqual({ cause: 'message', message: 0, field: 'content[1].other', offset: 14 })
  })

  it('only conversations that share a message or a reply are related', () => {
    const relatedTo = (now: readonly JsonValue[]) =>
      compareTurns(turn(dialect, last), turn(dialect, now, { answered: false })).related

    expect(relatedTo([user('one'), user('else')])).toBe(true)
    expect(relatedTo([user('dropped the first'), assistant('four'), user('x')])).toBe(true)
    expect(relatedTo([user('write a title for: one two three four')])).toBe(false)
    expect(relatedTo([user('uno'), assistant('due'), user('tre')])).toBe(false)
  })

  it('changes after the newest reply are intended', () => {
    const forkedBy = (now: readonly JsonValue[]) =>
      compareTurns(turn(dialect, last), turn(dialect, now, { answered: false })).forked

    expect(forkedBy([user('one'), assistant('two'), user('other')])).toBe(true)
    expect(forkedBy([user('one'), assistant('two'), user('other'), assistant('four'), user('x')])).toBe(false)
  })
})

describe('a system prompt', () => {
  const rest = [user('one'), assistant('two')]

  it('in chat is message 0', () => {
    const at = (clock: string) => [said('system', `You help. It is ${clock}.`), ...rest]

    expect(differs('chat', at('12:01'), [...at('12:02'), user('x')])).toEqual({
      cause: 'message',
      message: 0,
      field: 'content',
      offset: 20,
    })
  })

  it('outside the messages is reported by its field', () => {
    const system = (clock: string) => [
      { type: 'text', text: 'You help.' },
      { type: 'text', text: clock },
    ]

    expect(differs('messages', rest, rest, [{ system: 'at 1' }, { system: 'at 2' }])).toEqual({
      cause: 'message',
      field: 'system',
      offset: 3,
    })
    expect(differs('messages', rest, rest, [{ system: system('1') }, { system: system('2') }])).toEqual({
      cause: 'message',
      field: 'system[1].text',
      offset: 0,
    })
    expect(differs('responses', rest, rest, [{ instructions: 'at 1' }, { instructions: 'at 2' }])).toEqual({
      cause: 'message',
      field: 'instructions',
      offset: 3,
    })
  })

  it("does not differ in Claude Code's billing line, which engines ignore", () => {
    const system = (line: string) => [{ type: 'text', text: `x-anthropic-billing-header: ${line}` }]

    expect(differs('messages', rest, rest, [{ system: system('1') }, { system: system('2') }])).toBeUndefined()
  })
})

describe('other fields that shape the prompt', () => {
  const rest = [user('one'), assistant('two')]

  it('include the template, with its field', () => {
    const thinking = (on: boolean): JsonObject => ({ chat_template_kwargs: { enable_thinking: on } })

    expect(differs('chat', rest, rest, [thinking(true), thinking(false)])).toEqual({
      cause: 'template',
      field: 'chat_template_kwargs',
      offset: 19,
    })
    expect(differs('chat', rest, rest, [{}, { reasoning_effort: 'high' }])).toEqual({
      cause: 'template',
      field: 'reasoning_effort',
    })
  })

  it('differ slightly where templates rarely look, and in the member order of a tool', () => {
    const slightOf = (a: JsonObject, b: JsonObject) => {
      const { difference, slight } = compareTurns(
        turn('chat', rest, { shaping: a }),
        turn('chat', rest, { shaping: b }),
      )
      expect(difference).toBeUndefined()
      return slight
    }

    expect(slightOf({ tool_choice: 'auto' }, { tool_choice: 'none' })).toMatchObject({
      cause: 'template',
      field: 'tool_choice',
    })
    const tool = (parameters: JsonObject): JsonObject => ({
      tools: [{ type: 'function', function: { name: 'f', parameters } }],
    })
    expect(slightOf(tool({ a: 1, b: 2 }), tool({ b: 2, a: 1 }))).toMatchObject({
      cause: 'tools',
      field: 'tools[0].function.parameters',
      offset: 2,
    })
  })

  it('report the field of a tool that differs, and no names from a client', () => {
    const tool = (description: string, city: string): JsonObject => ({
      tools: [
        { type: 'function', function: { name: 'f', description, parameters: { properties: { secretName: city } } } },
      ],
    })

    expect(differs('chat', rest, rest, [tool('at 1', 'x'), tool('at 2', 'x')])).toEqual({
      cause: 'tools',
      field: 'tools[0].function.description',
      offset: 3,
    })
    expect(differs('chat', rest, rest, [tool('a', 'x'), tool('a', 'y')])).toEqual({
      cause: 'tools',
      field: 'tools[0].function.parameters',
      offset: 29,
    })
  })

  it('report the model if the client changed its own salt', () => {
    const { difference } = compareTurns({ ...turn('chat', rest), clientSalt: 'a' }, turn('chat', rest))

    expect(difference).toMatchObject({ cause: 'model', field: 'cache_salt' })
  })
})

describe('reasoning that clients do not send back', () => {
  it('is no difference between messages', () => {
    const last = [user('one'), { ...assistant('two'), reasoning: 'because' }]

    expect(differs('chat', last, [user('one'), assistant('two'), user('x')])).toBeUndefined()
  })

  it("is no difference between items, whose indices stay the client's", () => {
    const last = [user('one'), { type: 'reasoning', id: 'r', summary: [] }, assistant('two')]

    expect(differs('responses', last, [user('one'), assistant('two'), user('x')])).toBeUndefined()
    expect(differs('responses', last, [user('one'), assistant('too'), user('x')])).toMatchObject({ message: 1 })
  })
})
