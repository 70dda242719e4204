import { expect, it } from 'vitest'
import { aFleet } from '../../test/support/engines.ts'
import type { JsonValue } from '../base/json.ts'
import { checkFits } from './check-fits.ts'

const LIMIT = 10
/** Too long for the limit with any tokenizer. */
const LONG = 'x'.repeat(64 * LIMIT)

const fleet = aFleet({
  models: { find: async () => ({ id: 'm', engineName: './m', limit: LIMIT, contextLimit: LIMIT }) },
})

const check = (content: JsonValue) =>
  checkFits(
    { fleet },
    { dialect: 'chat', model: 'm', messages: [{ role: 'user', content }], shaping: {} },
    { apiKey: undefined },
  )

it.each<[string, JsonValue]>([
  ['text', LONG],
  ['text that begins like a data URL', `data:${LONG}`],
  ['such text in a part', [{ type: 'text', text: `data:text/plain,${LONG}` }]],
  ['a tool input named data', [{ type: 'tool_use', id: 't', name: 'put', input: { data: LONG } }]],
  ['a tool result', [{ type: 'tool_result', tool_use_id: 't', content: [{ type: 'text', text: LONG }] }]],
])('counts %s', async (_, content) => {
  await expect(check(content)).rejects.toMatchObject({ code: 'INVALID_FIELD' })
})

it.each<[string, JsonValue]>([
  ['an image in chat', [{ type: 'image_url', image_url: { url: `data:image/png;base64,${LONG}` } }]],
  ['audio in chat', [{ type: 'input_audio', input_audio: { format: 'wav', data: LONG } }]],
  ['an image in messages', [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: LONG } }]],
  [
    'an image in a tool result',
    [
      {
        type: 'tool_result',
        tool_use_id: 't',
        content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: LONG } }],
      },
    ],
  ],
])('does not count %s', async (_, content) => {
  await expect(check(content)).resolves.toBeUndefined()
})
