// Only listed paths are forwarded, and only in one spelling.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { defaultRoutes, matchRoute } from './routes.ts'

function code(method: string, target: string): string {
  try {
    return matchRoute(defaultRoutes, method, target).kind
  } catch (thrown) {
    return thrown instanceof CwmError ? thrown.code : 'another error'
  }
}

const listed = [defaultRoutes.salted, defaultRoutes.plain, defaultRoutes.others].flatMap((list) => Object.keys(list))

describe('matchRoute', () => {
  it.each([
    ['/v1/chat/completions', 'chat'],
    ['/v1/completions', 'completions'],
    ['/v1/responses', 'responses'],
    ['/v1/messages', 'messages'],
  ])('salts POST %s in the dialect %s', (path, dialect) => {
    expect(matchRoute(defaultRoutes, 'POST', path)).toEqual({ kind: 'session', dialect, path, query: '' })
  })

  it('keeps the query as it came', () => {
    expect(matchRoute(defaultRoutes, 'POST', '/v1/messages?beta=true&x=%2F..//;\\')).toMatchObject({
      path: '/v1/messages',
      query: '?beta=true&x=%2F..//;\\',
    })
    expect(matchRoute(defaultRoutes, 'GET', '/v1/models?')).toMatchObject({ path: '/v1/models', query: '?' })
  })

  it.each([
    ['GET', '/v1/models', 'plain'],
    ['HEAD', '/v1/models', 'plain'],
    ['OPTIONS', '/v1/chat/completions', 'plain'],
    ['OPTIONS', '/v1/models', 'plain'],
    ['POST', '/tokenize', 'plain'],
    ['POST', '/v1/models', 'METHOD_NOT_ALLOWED'],
    ['DELETE', '/v1/models', 'METHOD_NOT_ALLOWED'],
    ['GET', '/v1/chat/completions', 'METHOD_NOT_ALLOWED'],
    ['HEAD', '/v1/chat/completions', 'METHOD_NOT_ALLOWED'],
    ['PUT', '/v1/responses', 'METHOD_NOT_ALLOWED'],
    ['GET', '/v1/responses/resp_1', 'stored'],
    ['GET', '/v1/responses/resp_1?stream=true&starting_after=3', 'stored'],
    ['HEAD', '/v1/responses/resp_1', 'stored'],
    ['POST', '/v1/responses/resp_1/cancel', 'stored'],
    ['OPTIONS', '/v1/responses/resp_1', 'plain'],
    ['POST', '/v1/responses/resp_1', 'METHOD_NOT_ALLOWED'],
    ['DELETE', '/v1/responses/resp_1', 'METHOD_NOT_ALLOWED'],
    ['GET', '/v1/responses/resp_1/cancel', 'METHOD_NOT_ALLOWED'],
    ['HEAD', '/tokenize', 'METHOD_NOT_ALLOWED'],
    ['post', '/v1/chat/completions', 'METHOD_NOT_ALLOWED'],
    ['CONNECT', '/v1/models', 'METHOD_NOT_ALLOWED'],
    ['OPTIONS', '/sleep', 'UNKNOWN_PATH'],
    ['POST', '/v1/embeddings', 'stateless'],
    ['POST', '/v1/embeddings/', 'stateless'],
    ['OPTIONS', '/v1/embeddings', 'plain'],
    ['GET', '/v1/embeddings', 'METHOD_NOT_ALLOWED'],
    ['POST', '/v1/chat/completions/batch', 'stateless'],
    ['POST', '/inference/v1/generate', 'stateless'],
    ['POST', '/v1/chat/completions/render', 'guarded'],
    ['POST', '/v1/responses/render', 'guarded'],
    ['GET', '/v1/responses/render', 'METHOD_NOT_ALLOWED'],
    ['OPTIONS', '/v1/responses/render', 'plain'],
    ['POST', '/v1/responses/render/cancel', 'stored'],
    ['POST', '/v1/audio/transcriptions', 'UNSALTED_PATH'],
    ['OPTIONS', '/v2/embed', 'UNSALTED_PATH'],
    ['GET', '/v1/realtime', 'UNSALTED_PATH'],
    ['POST', '/sleep', 'operator'],
    ['POST', '/reset_prefix_cache', 'operator'],
    ['POST', '/reset_prefix_cache/', 'operator'],
    ['POST', '/cwm/s/a/sleep', 'UNKNOWN_PATH'],
    ['POST', '/cwm/s/a/v1/embeddings', 'stateless'],
    ['POST', '/collective_rpc', 'operator'],
    ['POST', '/v1/load_lora_adapter', 'operator'],
    ['POST', '/server_info', 'METHOD_NOT_ALLOWED'],
    ['GET', '/metrics', 'UNKNOWN_PATH'],
    ['OPTIONS', '*', 'INVALID_PATH'],
  ])('answers %s %s with %s', (method, path, wanted) => {
    expect(code(method, path)).toBe(wanted)
  })

  it.each([
    '/',
    '',
    '/v1',
    '/v1/',
    '/v1/chat/completionsx',
    '/V1/chat/completions',
    '/v1/responses/resp_1/input_items',
    '/v1/responses/resp_1/cancel/x',
    '/v1/responses/resp.1',
    `/v1/responses/${'r'.repeat(129)}`,
    '/v1/chat/completions/resp_1',
    '/__proto__',
    '/constructor',
    'constructor',
    '/adapters/{adapter_name}',
  ])('forwards no %j', (path) => {
    expect(['UNKNOWN_PATH', 'INVALID_PATH']).toContain(code('POST', path))
  })

  it.each([
    '/v1/chat%2Fcompletions',
    '/v1/%63hat/completions',
    '//v1/chat/completions',
    '/v1//chat/completions',
    '/v1/./chat/completions',
    '/x/../v1/chat/completions',
    '/v1/chat\\completions',
    '/v1/chat/completions;a=1',
    '/v1/chat/completions#x',
    '/v1/models?a#b',
    'http://engine/v1/models',
    'v1/models',
    '*',
    '/v1/m\u00f6dels',
    '/v1/models\t',
    '/.v1/models',
    '/v1/models%00',
  ])('refuses the spelling %j', (target) => {
    expect(code('GET', target)).toBe('INVALID_PATH')
  })

  it('reaches a listed path by its own bytes alone', () => {
    const edit = fc.tuple(
      fc.nat(30),
      fc.constantFrom(
        '',
        '/',
        '//',
        '/.',
        '/..',
        '%2f',
        '%2F',
        '.',
        ';',
        '\\',
        '\t',
        ' ',
        '\0',
        'A',
        '%',
        '\u00e9',
        '\u212a',
        '#',
        '@',
        ':',
        '&',
        '/cwm/s/x',
      ),
      fc.nat(3),
    )
    fc.assert(
      fc.property(fc.constantFrom(...listed), fc.array(edit, { maxLength: 3 }), fc.boolean(), (path, edits, upper) => {
        let target = upper ? path.toUpperCase() : path
        for (const [at, text, drop] of edits) target = target.slice(0, at) + text + target.slice(at + drop)
        const raw = target.split('?', 1)[0] ?? ''
        const behind = raw.replace(/^\/cwm\/s\/x(?=\/)/, '').replace(/(?<=.)\/$/, '')

        for (const method of ['GET', 'POST', 'OPTIONS']) {
          const got = code(method, target)
          if (
            ['session', 'stateless', 'guarded', 'operator'].includes(got) ||
            got === 'plain' ||
            got === 'METHOD_NOT_ALLOWED'
          )
            expect(listed).toContain(behind)
        }
      }),
      { numRuns: 3000, seed: 1 },
    )
  })

  it.each(Object.values(defaultRoutes.others).filter(({ methods }) => methods.length > 0))(
    'finds the entry of the table for $path',
    (api) => {
      const lists = { ...defaultRoutes, unsalted: new Set([api.path]) }

      expect(matchRoute(lists, api.methods[0] ?? '', api.path)).toMatchObject({ api })
    },
  )

  it('takes a session or a window from the path, and hands on the rest', () => {
    expect(matchRoute(defaultRoutes, 'POST', '/cwm/s/my.chat:1/v1/chat/completions?x=1')).toEqual({
      kind: 'session',
      dialect: 'chat',
      path: '/v1/chat/completions',
      query: '?x=1',
      session: 'my.chat:1',
    })
    expect(matchRoute(defaultRoutes, 'GET', '/cwm/w/book-1/v1/models')).toEqual({
      kind: 'plain',
      path: '/v1/models',
      query: '',
      window: 'book-1',
    })
  })

  it.each([
    ['/cwm/s//v1/models', 'INVALID_PATH'],
    ['/cwm/s/-x/v1/models', 'INVALID_PATH'],
    ['/cwm/s/.x/v1/models', 'INVALID_PATH'],
    ['/cwm/s/a%20b/v1/models', 'INVALID_PATH'],
    ['/cwm/s/a@b/v1/models', 'INVALID_PATH'],
    ['/cwm/w/a:b/v1/models', 'INVALID_PATH'],
    [`/cwm/s/${'a'.repeat(129)}/v1/models`, 'INVALID_PATH'],
    [`/cwm/s/${'a'.repeat(128)}/v1/models`, 'plain'],
    ['/cwm/s/x', 'UNKNOWN_PATH'],
    ['/cwm/s/x/', 'UNKNOWN_PATH'],
    ['/cwm/s/x/metrics', 'UNKNOWN_PATH'],
    ['/cwm/s/x/cwm/s/y/v1/models', 'UNKNOWN_PATH'],
    ['/cwm/s/x/cwm/v1/windows', 'UNKNOWN_PATH'],
    ['/cwm/x/y/v1/models', 'UNKNOWN_PATH'],
    ['/cwm/S/x/v1/models', 'UNKNOWN_PATH'],
    ['/cwm/s/constructor/v1/models', 'plain'],
  ])('answers GET %s with %s', (path, wanted) => {
    expect(code('GET', path)).toBe(wanted)
  })

  it.each([
    ['POST', '/v1/chat/completions/', { kind: 'session', path: '/v1/chat/completions' }],
    ['POST', '/cwm/s/a/v1/messages/?beta=true', { kind: 'session', path: '/v1/messages', query: '?beta=true' }],
    ['GET', '/v1/models/', { kind: 'plain', path: '/v1/models' }],
    ['GET', '/v1/responses/resp_1/', { kind: 'stored', path: '/v1/responses/resp_1' }],
  ])('forwards %s %s without the slash at its end', (method, target, route) => {
    expect(matchRoute(defaultRoutes, method, target)).toMatchObject(route)
  })

  it.each([
    ['/chat/completions', '/v1/chat/completions'],
    ['/completions', '/v1/completions'],
    ['/v1/v1/chat/completions', '/v1/chat/completions'],
    ['/api/v1/messages', '/v1/messages'],
    ['/api/chat/completions', '/v1/chat/completions'],
    ['/V1/Chat/Completions/', '/v1/chat/completions'],
    ['/v1/chat/completion', '/v1/chat/completions'],
    ['/v1/chat', '/v1/chat/completions'],
    ['//v1/chat/completions', '/v1/chat/completions'],
    ['/cwm/s/my.chat/chat/completions', '/cwm/s/my.chat/v1/chat/completions'],
    ['/models', '/v1/models'],
    ['/metrics', '/cwm/metrics'],
    ['/v1/mcp', '/cwm/mcp'],
    ['/embeddings', '/v1/embeddings'],
  ])('of %s says that %s was meant', (target, meant) => {
    expect(() => matchRoute(defaultRoutes, 'POST', target)).toThrow(`; did you mean ${meant}?`)
  })

  it.each(['/', '/v1/images', '/sleepy', '/v1/audio/speech', `/${'x/'.repeat(5_000)}v1/models`, '/%2f'])(
    'makes no guess where nothing is near: %s',
    (target) => {
      expect(() => matchRoute(defaultRoutes, 'POST', target)).toThrow(/^(?!.*did you mean)/)
    },
  )

  it.each([
    ['GET', '/v1/chat/completions', 'POST, OPTIONS', 'use POST'],
    ['POST', '/v1/models/', 'GET, HEAD, OPTIONS', 'use GET'],
    ['PUT', '/ping', 'GET, POST, HEAD, OPTIONS', 'use GET or POST'],
    ['DELETE', '/v1/responses/resp_1', 'GET, HEAD, OPTIONS', 'use GET'],
  ])('tells who sends %s %s what is allowed: %s', (method, target, allow, words) => {
    try {
      matchRoute(defaultRoutes, method, target)
      expect.unreachable()
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'METHOD_NOT_ALLOWED', headers: { allow } })
      expect(String(thrown)).toContain(words)
    }
  })

  it('shows no more of an unknown path than its beginning', () => {
    try {
      matchRoute(defaultRoutes, 'GET', `/${'x'.repeat(10_000)}`)
      expect.unreachable()
    } catch (thrown) {
      expect(thrown instanceof CwmError ? thrown.message.length : Infinity).toBeLessThan(200)
    }
  })
})
