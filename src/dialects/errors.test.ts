// Errors in the format of each dialect.

import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { decodeJsonEvents } from '../sse/decode.ts'
import { dialectNames, rulesOf } from './index.ts'

describe('errors', () => {
  const error = new CwmError('INVALID_FIELD', 'must be "text"\n', { param: 'model' })

  it("have OpenAI's format", () => {
    expect(JSON.parse(rulesOf('chat').errors.body(error, 'r1'))).toEqual({
      error: { message: 'must be "text"\n', type: 'invalid_request_error', param: 'model', code: 'invalid_field' },
    })
  })

  it("have Anthropic's format, with the field in the message", () => {
    expect(JSON.parse(rulesOf('messages').errors.body(error, 'r1'))).toEqual({
      type: 'error',
      error: { type: 'invalid_request_error', message: 'model: must be "text"\n', code: 'invalid_field' },
      request_id: 'r1',
    })
  })

  it.each([
    ['x-cwm-overflow', 'x-cwm-overflow must be one of pass, reject, rollover'],
    ['cache_salt', '`cache_salt` must be text'],
  ])('name the field %s once if the message starts with it', (param, words) => {
    const body = rulesOf('messages').errors.body(new CwmError('INVALID_FIELD', words, { param }), 'r1')

    expect(JSON.parse(body)).toMatchObject({ error: { message: words } })
  })

  it.each(dialectNames)('%s: are one event in a stream', (dialect) => {
    const text = rulesOf(dialect).errors.event(error)

    expect(text.endsWith('\n\n')).toBe(true)
    expect(text.slice(0, -2)).not.toContain('\n\n')
    expect(rulesOf(dialect).observeEvents(decodeJsonEvents(Buffer.from(text))).complete).toBe(false)
  })
})
