// Fields that tenants may not set, read as the engine would read them.

import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { checkFields, isTruthy, steeringFields } from './guard.ts'

function refused(body: JsonObject, dialect: Dialect = 'chat', allowed: readonly string[] = []): string {
  try {
    checkFields(body, dialect, new Set(allowed))
    return ''
  } catch (thrown) {
    return thrown instanceof CwmError ? `${thrown.code} ${thrown.param}` : 'another error'
  }
}

describe('checkFields', () => {
  it.each(steeringFields)('refuses %s, whatever it holds, unless the operator allows it', (field) => {
    for (const value of [0, '', false, {}, [], 'x'])
      expect(refused({ [field]: value })).toBe(`FORBIDDEN_FIELD ${field}`)
    expect(refused({ [field]: null })).toBe('')
    expect(refused({ [field]: 1 }, 'chat', [field])).toBe('')
  })

  it('leaves fields of the same name inside a tool schema alone', () => {
    expect(refused({ tools: [{ function: { parameters: { properties: { priority: {}, cache_salt: 5 } } } }] })).toBe('')
  })

  it.each([5, true, {}, [], 0])('refuses %j for a cache_salt or a model', (value) => {
    expect(refused({ cache_salt: value })).toBe('INVALID_FIELD cache_salt')
    expect(refused({ model: value })).toBe('INVALID_FIELD model')
  })

  it('takes no salt, null, and any text', () => {
    for (const salt of [undefined, null, '', 'mine', '@/\\']) expect(refused({ cache_salt: salt })).toBe('')
  })

  it('refuses stored responses as a history, in their own dialect', () => {
    expect(refused({ previous_response_id: 'resp_1' }, 'responses')).toBe('NOT_SUPPORTED previous_response_id')
    expect(refused({ previous_response_id: null }, 'responses')).toBe('')
    expect(refused({ previous_response_id: 'resp_1' }, 'chat')).toBe('')
  })

  // The engine's parser takes all of these for true.
  it.each([true, 1, 'true', 'True', 'yes', 'on', '1', 'T', 'y'])('refuses background: %j', (background) => {
    expect(refused({ background }, 'responses')).toBe('NOT_SUPPORTED background')
  })

  it.each([false, null, 0, 'false', 'no', 2, {}])('leaves background: %j to the engine', (background) => {
    expect(refused({ background }, 'responses')).toBe('')
    expect(isTruthy(background)).toBe(false)
  })
})
