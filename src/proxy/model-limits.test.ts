// Limits spliced into the bytes of a list of models.

import { describe, expect, it } from 'vitest'
import { type InputLimits, withInputLimits } from './model-limits.ts'

const all7: InputLimits = () => () => 7
const shown = (text: string, limits: InputLimits = all7) => withInputLimits(Buffer.from(text), limits).toString()

describe('a limit goes into its model', () => {
  it.each([
    ['behind the last member', '{"data":[{"id":"a"}]}', '{"data":[{"id":"a","max_input_tokens":7}]}'],
    ['before the space at the end', '{"data":[{"id":"a" \n}]}', '{"data":[{"id":"a","max_input_tokens":7 \n}]}'],
    [
      'in place of another',
      '{"data":[{"max_input_tokens" : 9e9 ,"id":"a"}]}',
      '{"data":[{"max_input_tokens" : 7 ,"id":"a"}]}',
    ],
    ['in place of null', '{"data":[{"max_input_tokens":null,"id":"a"}]}', '{"data":[{"max_input_tokens":7,"id":"a"}]}'],
    [
      'however the key is escaped',
      '{"data":[{"max_input\\u005ftokens":9}]}',
      '{"data":[{"max_input\\u005ftokens":7}]}',
    ],
    [
      'in the last of two, which parsers take',
      '{"data":[{"max_input_tokens":1,"max_input_tokens":9}]}',
      '{"data":[{"max_input_tokens":1,"max_input_tokens":7}]}',
    ],
    [
      'of the last list of two',
      '{"data":[{"id":"x"}],"data":[{"id":"a"}]}',
      '{"data":[{"id":"x"}],"data":[{"id":"a","max_input_tokens":7}]}',
    ],
    [
      'after strings with brackets',
      '{"data":[{"id":"a]}\\"","n":{"max_input_tokens":1}}]}',
      '{"data":[{"id":"a]}\\"","n":{"max_input_tokens":1},"max_input_tokens":7}]}',
    ],
    ['in a model alone', ' {"id":"a"} ', ' {"id":"a","max_input_tokens":7} '],
  ])('%s', (_, text, expected) => {
    expect(shown(text)).toBe(expected)
  })

  it('of each model its own, and of some none', () => {
    const byId: InputLimits = () => (card) => (card.id === 'b' ? undefined : Number(card.id))

    expect(shown('{"data":[{"id":"1"}, 4,{"id":"b"},[{"id":"1"}],{"id":"2"}]}', byId)).toBe(
      '{"data":[{"id":"1","max_input_tokens":1}, 4,{"id":"b"},[{"id":"1"}],{"id":"2","max_input_tokens":2}]}',
    )
  })

  it.each(['', '[]', '{"data":[{"id":"a"}]', '{"data":{"id":"a"}}', '{"data":null}', '\ufeff{"data":[{"id":"a"}]}'])(
    'and nothing into what is no list: %s',
    (text) => {
      const bytes = Buffer.from(text)

      expect(withInputLimits(bytes, all7)).toBe(bytes)
    },
  )
})
