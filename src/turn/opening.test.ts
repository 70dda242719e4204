// What counts as a session's beginning, in each dialect.

import { describe, expect, it } from 'vitest'
import type { JsonObject } from '../base/json.ts'
import { rulesOf } from '../dialects/index.ts'
import { openingOf } from './opening.ts'

const user = (content: string) => ({ role: 'user', content })
const rules = 'Answer in the language of the question.'
const tools = [{ type: 'function', function: { name: 'look_up' } }]

const bodies: Readonly<Record<string, (text: string) => JsonObject>> = {
  chat: (text) => ({ messages: [{ role: 'system', content: rules }, user(text)], tools }),
  messages: (text) => ({ system: rules, messages: [user(text)], tools }),
  responses: (text) => ({ instructions: rules, input: text, tools }),
}
const opening = (dialect: string, body: JsonObject) => openingOf(body, rulesOf(dialect), JSON.stringify(body).length)

describe.each(Object.entries(bodies))('the opening of %s', (dialect, bodyOf) => {
  it('is equal for other questions, and differs by system prompt and by tools', () => {
    const first = opening(dialect, bodyOf('one'))
    const { tools: _, ...bare } = bodyOf('one')

    expect(opening(dialect, bodyOf('something else'))?.digest).toBe(first?.digest)
    expect(opening(dialect, bare)?.digest).not.toBe(first?.digest)
    expect(first?.share).toBeGreaterThan(0.3)
    expect(first?.share).toBeLessThanOrEqual(1)
  })
})

it('is none without a system prompt and tools, and for completions', () => {
  expect(opening('chat', { messages: [user('hi')] })).toBeUndefined()
  expect(opening('chat', { messages: [user('hi'), { role: 'system', content: rules }] })).toBeUndefined()
  expect(opening('completions', { prompt: 'hi' })).toBeUndefined()
})

it('is not examined in a body of more than 1 MiB', () => {
  const body = { messages: [{ role: 'system', content: rules }, user('hi')] }

  expect(openingOf(body, rulesOf('chat'), 1_048_576)).toBeDefined()
  expect(openingOf(body, rulesOf('chat'), 1_048_577)).toBeUndefined()
})
