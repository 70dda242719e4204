// Small modules that all rooms use.

import { describe, expect, it } from 'vitest'
import { readApiKey } from './auth.ts'
import { CwmError, type ErrorCode, errorTable, toCwmError } from './errors.ts'
import { isReservedName, isSessionId, isWindowName, randomId } from './ids.ts'
import { isObject, parseJson } from './json.ts'
import { silentLogger } from './logger.ts'
import { createMetrics } from './metrics.ts'

describe('errors', () => {
  it.each(Object.entries(errorTable))('%s has a status that shows who caused it', (code, [status, type]) => {
    const error = new CwmError(code as ErrorCode, 'words', { param: 'p' })

    expect([error.status, error.type, error.param, error.message]).toEqual([status, type, 'p', 'words'])
    expect(status).toBeGreaterThanOrEqual(400)
    if (
      /^(invalid_request|not_found|conflict|authentication|permission|quota_exceeded|rate_limit|client)_error$/.test(
        type,
      )
    )
      expect(status).toBeLessThan(500)
    else expect(status).toBeGreaterThanOrEqual(500)
  })

  it("keep cwm's own errors, and withhold the text of any others", () => {
    const ours = new CwmError('BUSY', 'later')
    const cause = new Error('the prompt was: secret')

    expect(toCwmError(ours)).toBe(ours)
    expect(toCwmError(cause)).toMatchObject({ code: 'INTERNAL', status: 500, cause })
    expect(toCwmError(cause).message).not.toContain('secret')
    for (const thrown of [undefined, null, 'text', 5]) expect(toCwmError(thrown).code).toBe('INTERNAL')
  })

  it('have no cause unless one was given', () => {
    expect('cause' in new CwmError('BUSY', 'x')).toBe(false)
  })
})

describe('names', () => {
  it.each(['a', 'A-b_c.d', '0', 'a'.repeat(128)])('%j may name a session and a window', (name) => {
    expect([isSessionId(name), isWindowName(name)]).toEqual([true, true])
  })

  it.each(['', '.', '..', '-a', '_a', ':a', 'a b', 'a/b', 'a\n', '\na', 'a\0', 'ä', 'a'.repeat(129), 'a@b', 'a%20'])(
    '%j is not a valid name',
    (name) => {
      expect([isSessionId(name), isWindowName(name)]).toEqual([false, false])
    },
  )

  it('with a colon may only name a session', () => {
    expect([isSessionId('a:b'), isWindowName('a:b')]).toEqual([true, false])
  })

  it('that start with auto. are reserved', () => {
    expect(['auto.x', 'auto', 'autos', 'Auto.x'].map(isReservedName)).toEqual([true, false, false, false])
  })

  it('that are random never collide, and may follow a prefix', () => {
    const ids = Array.from({ length: 1000 }, randomId)

    expect(new Set(ids).size).toBe(1000)
    for (const id of ids) expect(id).toMatch(/^[\w-]{22}$/)
    expect(isSessionId(`s-${ids[0]}`)).toBe(true)
  })
})

describe('readApiKey', () => {
  const read = (headers: Record<string, string>) => readApiKey({ rawHeaders: Object.entries(headers).flat() })

  it.each([
    [{}, undefined],
    [{ authorization: 'Bearer k' }, 'k'],
    [{ authorization: 'bearer  k ' }, 'k'],
    [{ 'x-api-key': 'k' }, 'k'],
    [{ 'x-api-key': '' }, undefined],
    [{ authorization: 'Bearer k', 'x-api-key': 'k' }, 'k'],
    [{ authorization: 'Basic dTpw' }, 'Basic dTpw'],
    [{ authorization: 'Bearer' }, undefined],
    [{ authorization: 'sk-bare' }, 'sk-bare'],
    [{ 'api-key': 'k' }, 'k'],
    [{ authorization: 'Bearer a b' }, 'Bearer a b'],
    [{ authorization: 'Basic dTpw', 'x-api-key': 'k' }, 'k'],
  ])('finds in %j the key %j', (headers, key) => {
    expect(read(headers)).toBe(key)
  })

  it('rejects two different keys', () => {
    expect(() => read({ authorization: 'Bearer a', 'x-api-key': 'b' })).toThrow(CwmError)
  })
})

describe('JSON', () => {
  it('distinguishes an object from other values', () => {
    expect([{}, [], null, 'x', 5, undefined].map(isObject)).toEqual([true, false, false, false, false, false])
  })

  it('is undefined if parsing fails', () => {
    expect([parseJson('{"a":1}'), parseJson('{'), parseJson(''), parseJson('null')]).toEqual([
      { a: 1 },
      undefined,
      undefined,
      null,
    ])
  })
})

describe('metrics', () => {
  it('are counted separately for two registries in one process', async () => {
    const [one, two] = [createMetrics(), createMetrics()]
    one.requests.inc('/v1/models', '200')

    expect(await one.text()).toContain('cwm_requests_total{route="/v1/models",status="200"} 1')
    expect(await two.text()).not.toContain('route="/v1/models"')
  })

  it('have no label that could reveal a session, a window, a tenant or a salt', async () => {
    const text = await createMetrics().text()

    expect(text).not.toMatch(/\{[^}]*(session|window|tenant|salt|model|key)=/)
    for (const name of text.matchAll(/^# HELP (\S+)/gm)) expect(name[1]).toMatch(/^(cwm|process|nodejs)_[a-z_]+$/)
  })
})

describe('the silent logger', () => {
  it('writes nothing and never fails', () => {
    expect(silentLogger.error({ err: new Error('x') }, 'words')).toBeUndefined()
  })
})
