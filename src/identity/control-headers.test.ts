// The x-cwm-* headers of a request.

import { describe, expect, it } from 'vitest'
import { CwmError, type ErrorCode } from '../base/errors.ts'
import type { SessionRecord } from '../base/records.ts'
import { contextHeader, exposedHeaders, readControlHeaders, withHeaderParam } from './control-headers.ts'

function read(headers: Record<string, string | string[]>, path: { session?: string; window?: string } = {}): unknown {
  try {
    return readControlHeaders(headers, path)
  } catch (thrown) {
    return thrown instanceof CwmError ? `${thrown.code} ${thrown.param}` : 'another error'
  }
}

describe('readControlHeaders', () => {
  it('reads what the client requests, and nothing if it requests nothing', () => {
    expect(read({ 'x-cwm-session': 'a:1', 'x-cwm-window': 'w', 'x-cwm-freeze': 'f', accept: '*/*' })).toEqual({
      session: 'a:1',
      window: 'w',
      freeze: 'f',
    })
    expect(read({})).toEqual({})
  })

  it('accepts the path in place of a header, and rejects a contradiction', () => {
    expect(read({}, { session: 's', window: 'w' })).toEqual({ session: 's', window: 'w' })
    expect(read({ 'x-cwm-session': 's' }, { session: 's' })).toEqual({ session: 's' })
    expect(read({ 'x-cwm-session': 'other' }, { session: 's' })).toBe('INVALID_HEADER x-cwm-session')
    expect(read({ 'x-cwm-window': 'other' }, { window: 'w' })).toBe('INVALID_HEADER x-cwm-window')
  })

  it('rejects misspelled names instead of ignoring them', () => {
    expect(read({ 'x-cwm-sesion': 's' })).toBe('INVALID_HEADER x-cwm-sesion')
    expect(read({ 'x-cwm-request-id': 'r' })).toBe('INVALID_HEADER x-cwm-request-id')
  })

  it.each(['', ' ', '-a', '.a', 'a b', 'a/b', 'a@b', 'a, b', '\u00e4', 'a'.repeat(129), 'a\\b'])(
    'rejects the name %j',
    (name) => {
      expect(read({ 'x-cwm-session': name })).toBe('INVALID_HEADER x-cwm-session')
      expect(read({ 'x-cwm-window': name })).toBe('INVALID_HEADER x-cwm-window')
      expect(read({ 'x-cwm-freeze': name })).toBe('INVALID_HEADER x-cwm-freeze')
    },
  )

  it('does not let a client freeze under a reserved name, but thaw one', () => {
    expect(read({ 'x-cwm-freeze': 'auto.x' })).toBe('INVALID_HEADER x-cwm-freeze')
    expect(read({ 'x-cwm-window': 'auto.x' })).toEqual({ window: 'auto.x' })
    expect(read({ 'x-cwm-freeze': 'automatic' })).toEqual({ freeze: 'automatic' })
  })

  it('rejects a repeated header', () => {
    expect(read({ 'x-cwm-session': ['a', 'a'] })).toBe('INVALID_HEADER x-cwm-session')
  })
})

describe('namingHeader', () => {
  const paramOf = (code: ErrorCode, param: string) => withHeaderParam(new CwmError(code, 'why', { param })).param

  it("replaces 'name' or 'session_id' by the header that named the window or session", () => {
    expect(paramOf('WINDOW_NOT_FOUND', 'name')).toBe('x-cwm-window')
    expect(paramOf('WINDOW_FAILED', 'name')).toBe('x-cwm-window')
    expect(paramOf('WINDOW_NAME_TAKEN', 'name')).toBe('x-cwm-freeze')
    expect(paramOf('SESSION_CHANGED', 'session_id')).toBe('x-cwm-session')
  })

  it('leaves every other error unchanged', () => {
    const error = new CwmError('QUOTA_EXCEEDED', 'why', { param: 'name' })

    expect(withHeaderParam(error)).toBe(error)
    expect(paramOf('WINDOW_NOT_FOUND', 'path')).toBe('path')
  })
})

describe('answers', () => {
  const session: SessionRecord = {
    tenant: 't',
    id: 's',
    named: false,
    lineage: 'l',
    head: 0,
    spaces: [],
    createdAt: 0,
    lastTurnAt: 0,
    turns: 0,
  }
  const usage = { promptTokens: 0, completionTokens: 0, totalTokens: 0 }

  it('report how full the context is once it is known, including an empty one', () => {
    expect(contextHeader(session)).toBeUndefined()
    expect(contextHeader({ ...session, usage })).toBeUndefined()
    expect(contextHeader({ ...session, limit: 4096 })).toBeUndefined()
    expect(contextHeader({ ...session, usage, limit: 4096 })).toBe('0/4096')
  })

  it('expose every header that cwm sends', () => {
    for (const name of ['session', 'request-id', 'context', 'window', 'restored', 'freeze']) {
      expect(exposedHeaders.split(', ')).toContain(`x-cwm-${name}`)
    }
  })
})
