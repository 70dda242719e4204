import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { inTermsOfChat, readChatControls } from './chat-controls.ts'

function read(headers: Record<string, string>): unknown {
  try {
    return readChatControls(headers)
  } catch (thrown) {
    if (!(thrown instanceof CwmError)) throw thrown
    return `${thrown.code} ${thrown.param}`
  }
}

describe('readChatControls', () => {
  it('reads the limits that are set', () => {
    expect(read({ 'x-cwm-select': '5', 'x-cwm-budget-tokens': '9000', 'x-cwm-deadline-ms': '86400000' })).toEqual({
      select: 5,
      budgetTokens: 9_000,
      deadlineMs: 86_400_000,
    })
    expect(read({ 'user-agent': 'x', 'x-cwm-tenant': 'team' })).toEqual({})
  })

  it.each(['', '0', '-1', '1.5', '1e3', '0x5', 'many', '5, 6', '1001', '9'.repeat(40)])('rejects %j', (value) => {
    expect(read({ 'x-cwm-select': value })).toBe('INVALID_HEADER x-cwm-select')
  })

  it('has the upper limits of REST', () => {
    expect(read({ 'x-cwm-select': '1000' })).toEqual({ select: 1_000 })
    expect(read({ 'x-cwm-deadline-ms': '86400001' })).toBe('INVALID_HEADER x-cwm-deadline-ms')
    expect(read({ 'x-cwm-budget-tokens': '9007199254740992' })).toBe('INVALID_HEADER x-cwm-budget-tokens')
  })

  it('rejects headers without an effect, and names those that have one', () => {
    expect(read({ 'x-cwm-session': 's' })).toBe('INVALID_HEADER x-cwm-session')
    expect(() => readChatControls({ 'x-cwm-budget': '5' })).toThrow(
      'x-cwm-budget has no effect on questions to windows; leave it out (allowed: x-cwm-select, x-cwm-budget-tokens, x-cwm-deadline-ms)',
    )
  })
})

describe('inTermsOfChat', () => {
  it.each([
    ['question', 'messages'],
    ['windows', 'path'],
    ['select', 'x-cwm-select'],
    ['budget_tokens', 'x-cwm-budget-tokens'],
    ['deadline_ms', 'x-cwm-deadline-ms'],
  ])('%s is %s', (param, expected) => {
    const cause = new CwmError('ASK_DEADLINE', 'late', { param })

    expect(inTermsOfChat(cause)).toMatchObject({ code: 'ASK_DEADLINE', param: expected, cause })
  })

  it('writes the header in the message, too', () => {
    const error = new CwmError('NOT_SUPPORTED', '`select` is off, so nothing was selected; ask without `select`', {
      param: 'select',
    })

    expect(inTermsOfChat(error).message).toBe(
      '`x-cwm-select` is off, so nothing was selected; ask without `x-cwm-select`',
    )
  })

  it('leaves every other error as it is', () => {
    const error = new CwmError('UPSTREAM_BROKEN', 'it broke')

    expect(inTermsOfChat(error)).toBe(error)
  })
})
