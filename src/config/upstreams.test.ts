// The setting `upstream` in its three forms, and its faults.

import { describe, expect, it } from 'vitest'
import { settingsSchema } from './schema.ts'
import { describeUpstream, enginesOf, isFleet } from './upstreams.ts'

const parse = (upstream: unknown) => settingsSchema.parse({ upstream }).upstream
const faultsOf = (settings: object) =>
  settingsSchema.safeParse(settings).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
const plain = (url: string) => ({ url, weight: 1, drain: false })

describe('the setting upstream', () => {
  it.each([
    ['http://a:8000', 'http://a:8000', false],
    ['dns+http://engines:8000', 'dns+http://engines:8000', true],
    ['dns+https://_vllm._tcp.example', 'dns+https://_vllm._tcp.example', true],
    ['http://a:8000, http://b:8000', [plain('http://a:8000'), plain('http://b:8000')], true],
    ['http://a:8000,', [plain('http://a:8000')], true],
    [
      ['http://a:8000', { url: 'http://b', weight: 2 }],
      [plain('http://a:8000'), { ...plain('http://b'), weight: 2 }],
      true,
    ],
  ])('reads %j', (written, value, fleet) => {
    expect(parse(written)).toEqual(value)
    expect(parse(parse(written))).toEqual(value)
    expect(isFleet(parse(written))).toBe(fleet)
  })

  it('gives each engine of a list what is set for it', () => {
    const list = parse([{ url: 'http://a', key: 'sk-a', lmcache_instance: 'lm-a', weight: 0, drain: true }, 'http://b'])

    expect(enginesOf(list)).toEqual([
      { url: 'http://a', weight: 0, apiKey: 'sk-a', kvServer: 'lm-a', drain: true },
      { url: 'http://b', weight: 1 },
    ])
    expect(enginesOf('http://a')).toEqual([{ url: 'http://a', weight: 1 }])
    expect(enginesOf('dns+http://engines')).toBeUndefined()
  })

  it('is described by its addresses, without keys', () => {
    expect(describeUpstream(parse([{ url: 'http://a', key: 'sk-secret' }, 'http://b']))).toBe('http://a, http://b')
  })

  it.each([
    ['ftp://a', 'upstream: must begin with http:// or https://'],
    [5, 'upstream: must be an http:// or https:// address, a list of them'],
    ['dns+http://engines?x', 'upstream: must be dns+http://NAME:PORT'],
    [[], 'upstream: must list at least one engine'],
    [[7], 'upstream.0: must be an address, or {url, weight, key, lmcache_instance, drain}'],
    ['http://a,ftp://b', 'upstream.1.url: must begin with http:// or https://'],
    [['http://user:hunter2@a'], 'upstream.0.url: must be an address without user, password'],
    [[{ url: 'http://a', weight: -1 }], 'upstream.0.weight: must be a number from 0 to'],
    ['http://a:8000,http://A:8000/v1', 'upstream.1.url: is a duplicate'],
    [[{ url: 'http://a', drain: true }], 'upstream: must have at least one engine without drain: true'],
    [Array.from({ length: 129 }, (_, i) => `http://e${i}`), 'upstream: must list 128 engines or fewer'],
  ])('rejects %j', (upstream, words) => {
    const faults = faultsOf({ upstream })

    expect(faults).toHaveLength(1)
    expect(faults?.[0]).toContain(words)
    expect(faults?.[0]).not.toContain('hunter2')
  })

  it('names unknown fields of an engine', () => {
    const [issue] = settingsSchema.safeParse({ upstream: [{ url: 'http://a', wieght: 2 }] }).error?.issues ?? []

    expect(issue).toMatchObject({ code: 'unrecognized_keys', path: ['upstream', 0], keys: ['wieght'] })
  })

  it("rejects an operator's key that is also an engine's", () => {
    const key = 'operator-0123456'

    expect(faultsOf({ upstream: [{ url: 'http://a', key }], operator_key: key })).toEqual([
      expect.stringContaining('operator_key: is also the key of an engine'),
    ])
  })
})
