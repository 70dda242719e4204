// Fields that tenants may not set, read as the engine would read them.

import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import type { Dialect } from '../base/records.ts'
import { isTruthy } from '../dialects/fields.ts'
import { rulesOf } from '../dialects/index.ts'
import { RawObject } from '../dialects/raw-json.ts'
import { checkFields, steeringFields } from './guard.ts'

function refused(body: JsonObject, dialect: Dialect = 'chat', allowed: readonly string[] = []): string {
  return refusedText(JSON.stringify(body), dialect, allowed)
}

function refusedText(text: string, dialect: Dialect = 'chat', allowed: readonly string[] = []): string {
  try {
    checkFields(new RawObject(Buffer.from(text)), JSON.parse(text) as JsonObject, rulesOf(dialect), new Set(allowed))
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

  it('refuses the session inside vllm_xargs, even where the operator allows the rest of it', () => {
    const field = 'vllm_xargs.session_id'

    for (const session_id of ['mine', null, {}])
      expect(refused({ vllm_xargs: { session_id } }, 'chat', ['vllm_xargs'])).toBe(`FORBIDDEN_FIELD ${field}`)
    expect(refused({ vllm_xargs: { other: 1 } }, 'chat', ['vllm_xargs'])).toBe('')
    expect(refused({ vllm_xargs: { session_id: 'mine' } }, 'chat', ['vllm_xargs', field])).toBe('')
  })

  it('leaves fields of the same name inside a tool schema alone', () => {
    expect(refused({ tools: [{ function: { parameters: { properties: { priority: {}, cache_salt: 5 } } } }] })).toBe('')
  })

  it.each([5, true, {}, [], 0])('refuses %j for a cache_salt or a model', (value) => {
    expect(refused({ cache_salt: value })).toBe('INVALID_FIELD cache_salt')
    expect(refused({ model: value })).toBe('INVALID_FIELD model')
  })

  it('takes no salt, null, and any text as long as the engine would', () => {
    for (const salt of [undefined, null, '', 'mine', '@/\\', 's'.repeat(128)])
      expect(refused({ cache_salt: salt })).toBe('')
    expect(refused({ cache_salt: 's'.repeat(129) })).toBe('INVALID_FIELD cache_salt')
  })

  it.each([
    ['{"user":9007199254740993}', 'user'],
    ['{"user":[1,{"id":9007199254740993}]}', 'user'],
    ['{"user":{"id":1.0}}', 'user'],
    ['{"session_id":1e400}', 'session_id'],
    ['{"user":1,"\\u0075ser":10000000000000000001}', 'user'],
    ['{"metadata":{"user_id":0.1000000000000000001}}', 'metadata.user_id'],
    ['{"metadata":{"a":"}"},"metadata":{"user_id":-0}}', 'metadata.user_id'],
    [`{"user":["${'x'.repeat(17_000)}"]}`, 'user'],
  ])('refuses an id that a neighbor could be taken for: %s', (text, param) => {
    expect(refusedText(text)).toBe(`INVALID_FIELD ${param}`)
  })

  it.each([
    '{"user":1,"metadata":{"user_id":9007199254740991}}',
    '{"user":{"id":-1,"score":0.5,"text":"9007199254740993 \\" 1.0"}}',
    '{"user":"9007199254740993","prompt_cache_key":true,"session_id":null}',
    '{"seed":9007199254740993,"temperature":1.0,"metadata":{"other":1.0}}',
  ])('takes any other id, and any other number: %s', (text) => {
    expect(refusedText(text)).toBe('')
  })

  it('refuses a model that is longer than any name', () => {
    expect(refused({ model: 'm'.repeat(1024) })).toBe('')
    expect(refused({ model: 'm'.repeat(1025) })).toBe('INVALID_FIELD model')
  })

  it.each([
    ['responses', { conversation: 'conv_1' }, 'conversation'],
    ['responses', { conversation: { id: 'conv_1' } }, 'conversation'],
    ['responses', { input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input'],
    ['messages', { thread: { type: 'continue', previous_message_id: 'msg_1' } }, 'thread'],
  ] as const)('refuses what a server would look up by an id alone: %s %j', (dialect, body, param) => {
    expect(refused(body, dialect)).toBe(`NOT_SUPPORTED ${param}`)
  })

  it('takes a history by reference for what it is in its own dialect only', () => {
    expect(refused({ conversation: null }, 'responses')).toBe('')
    expect(refused({ conversation: 'c', thread: { previous_message_id: 'm' } }, 'chat')).toBe('')
    expect(refused({ thread: { type: 'create' } }, 'messages')).toBe('')
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
