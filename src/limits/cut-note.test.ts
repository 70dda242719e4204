// Where the note about a cut is placed.

import { describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { rulesOf } from '../dialects/index.ts'
import { placeCutNote } from './cut-note.ts'

const text =
  'Earlier turns of this conversation are not shown here. They are kept in a saved context window with the tag cut-0123456789ab.'
const user = { role: 'user', content: 'hi' }

function note(dialect: Dialect, messages: readonly JsonValue[], body: JsonObject = {}) {
  return placeCutNote({ rules: rulesOf(dialect), body, messages, tag: 'cut-0123456789ab' })
}

describe('the note of a cut', () => {
  it.each(['chat', 'responses'] as const)('%s: is appended to the first system message', (dialect) => {
    const developer = { role: 'developer', content: 'and brief' }

    expect(note(dialect, [{ role: 'system', content: 'Be good.', name: 'x' }, developer, user])).toEqual({
      kind: 'message',
      at: 0,
      message: { role: 'system', content: `Be good.\n\n${text}`, name: 'x' },
    })
    expect(note(dialect, [user, developer])).toMatchObject({ at: 1, message: { content: `and brief\n\n${text}` } })
  })

  it.each([
    ['chat', 'text'],
    ['responses', 'input_text'],
  ] as const)('%s: is a separate part of type %s if the system message has parts', (dialect, type) => {
    const part = { type, text: 'Be good.' }

    expect(note(dialect, [{ role: 'system', content: [part] }, user])).toEqual({
      kind: 'message',
      at: 0,
      message: { role: 'system', content: [part, { type, text }] },
    })
  })

  it.each(['chat', 'responses'] as const)('%s: is a new leading system message if there is none', (dialect) => {
    const front = { kind: 'front', message: { role: 'system', content: text } }

    expect(note(dialect, [user])).toEqual(front)
    expect(note(dialect, [])).toEqual(front)
  })

  it.each([
    ['messages', 'system'],
    ['responses', 'instructions'],
  ] as const)('%s: is appended to `%s` rather than to a system message', (dialect, field) => {
    expect(note(dialect, [{ role: 'system', content: 'x' }, user], { [field]: 'Be good.' })).toEqual({
      kind: 'field',
      field,
      value: `Be good.\n\n${text}`,
    })
  })

  it("is a separate block in Anthropic's list, whose other blocks keep their cache marks", () => {
    const block = { type: 'text', text: 'Be good.', cache_control: { type: 'ephemeral' } }

    expect(note('messages', [user], { system: [block] })).toEqual({
      kind: 'field',
      field: 'system',
      value: [block, { type: 'text', text }],
    })
  })

  it("creates Anthropic's `system` if it is missing or null", () => {
    const field = { kind: 'field', field: 'system', value: text }

    expect(note('messages', [user])).toEqual(field)
    expect(note('messages', [user], { system: null })).toEqual(field)
  })

  it('replaces an empty system prompt', () => {
    expect(note('responses', [user], { instructions: '' })).toMatchObject({ value: text })
    expect(note('chat', [{ role: 'system', content: null }])).toMatchObject({ message: { content: text } })
  })

  it('does not modify its input', () => {
    const messages = Object.freeze([Object.freeze({ role: 'system', content: Object.freeze([]) }), user])

    expect(note('chat', messages)).toEqual(note('chat', structuredClone(messages)))
  })
})
