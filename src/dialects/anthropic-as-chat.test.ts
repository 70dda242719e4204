// The expected messages are those of vLLM 0.32 (docs/engine-behavior.md#other-dialects-as-chat). test/engine/messages.test.ts compares the
// lengths of such prompts with the real engine's counts.

import { describe, expect, it } from 'vitest'
import type { JsonObject, JsonValue } from '../base/json.ts'
import { anthropicAsChat } from './anthropic-as-chat.ts'

function convert(messages: readonly JsonValue[], shaping: JsonObject = {}) {
  return anthropicAsChat({ dialect: 'messages', model: 'm', messages, shaping })
}

describe('an Anthropic prompt as chat', () => {
  it('joins the blocks of a system prompt and omits the billing header', () => {
    const billing = { type: 'text', text: 'x-anthropic-billing-header: cch=1' }

    const chat = convert([{ role: 'user', content: 'hi' }], {
      system: [billing, { type: 'text', text: 'a' }, { type: 'text', text: 'b' }],
    })

    expect(chat).toEqual({
      dialect: 'chat',
      model: 'm',
      messages: [
        { role: 'system', content: 'ab' },
        { role: 'user', content: 'hi' },
      ],
      shaping: {},
    })
  })

  it("writes a tool call's arguments as Python does", () => {
    const input = { city: 'Zürich', list: [1, 2], none: null }

    const chat = convert([{ role: 'assistant', content: [{ type: 'tool_use', id: 'c1', name: 'weather', input }] }])

    const call = { name: 'weather', arguments: '{"city": "Z\\u00fcrich", "list": [1, 2], "none": null}' }
    expect(chat?.messages).toEqual([
      { role: 'assistant', tool_calls: [{ id: 'c1', type: 'function', function: call }] },
    ])
  })

  it('puts tool results before the text of the same user message, and turns a message of results into them', () => {
    const result = {
      type: 'tool_result',
      tool_use_id: 'c1',
      content: [
        { type: 'text', text: 'a' },
        { type: 'text', text: 'b' },
      ],
    }

    const both = convert([{ role: 'user', content: [result, { type: 'text', text: 'and?' }] }])
    const alone = convert([{ role: 'user', content: [result] }])

    const tool = { role: 'tool', tool_call_id: 'c1', content: 'a\nb' }
    expect(both?.messages).toEqual([tool, { role: 'user', content: 'and?' }])
    expect(alone?.messages).toEqual([tool])
  })

  it('converts thinking to reasoning, and tools with every field that vLLM fills in', () => {
    const tools = [{ name: 'weather', input_schema: { properties: {} } }]

    const chat = convert(
      [
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'hm', signature: 's' },
            { type: 'text', text: 'x' },
          ],
        },
      ],
      { tools },
    )

    expect(chat?.messages).toEqual([{ role: 'assistant', reasoning: 'hm', content: 'x' }])
    const fn = {
      name: 'weather',
      description: null,
      parameters: { properties: {}, type: 'object' },
      strict: null,
      defer_loading: null,
    }
    expect(chat?.shaping).toEqual({ tools: [{ type: 'function', function: fn }] })
  })

  it.each<[string, JsonValue, JsonObject]>([
    ['an image', { role: 'user', content: [{ type: 'image', source: {} }] }, {}],
    ['an inline system message', { role: 'system', content: 'x' }, {}],
    ['an unknown block', { role: 'user', content: [{ type: 'tool_addition' }] }, {}],
    ['an unknown field', { role: 'user', content: 'x' }, { context_management: {} }],
  ])('has no counterpart for %s', (_, message, shaping) => {
    expect(convert([message], shaping)).toBeUndefined()
  })
})
