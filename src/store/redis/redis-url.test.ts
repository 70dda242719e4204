// The store's URL: what each part means, and that no error quotes it.

import { describe, expect, it } from 'vitest'
import { parseRedisUrl } from './redis-url.ts'

describe('the URL of a Redis store', () => {
  it('defaults to the usual port and database 0', () => {
    expect(parseRedisUrl('redis://cache')).toEqual({ host: 'cache', port: 6379, tls: false, cluster: false, db: 0 })
  })

  it('has user, password and database, decoded', () => {
    expect(parseRedisUrl('rediss://cwm:p%40ss%2Fword@10.0.0.7:6380/5')).toEqual({
      host: '10.0.0.7',
      port: 6380,
      tls: true,
      cluster: false,
      db: 5,
      username: 'cwm',
      password: 'p@ss/word',
    })
  })

  it.each([
    ['redis-cluster://node', { tls: false, cluster: true }],
    ['rediss-cluster://node', { tls: true, cluster: true }],
  ])('supports %s', (url, expected) => {
    expect(parseRedisUrl(url)).toMatchObject(expected)
  })

  it('accepts an IPv6 address', () => {
    expect(parseRedisUrl('redis://[::1]:7000')).toMatchObject({ host: '::1', port: 7000 })
  })

  it.each([
    'hunter2',
    'http://:hunter2@cache',
    'redis://:hunter2@',
    'redis://:hunter2@cache/one',
    'redis://:hunter2@cache/0?tls=true',
    'redis://:hunter2%zz@cache',
    'redis-cluster://:hunter2@cache/1',
  ])('rejects %s without quoting it', (url) => {
    const refusal = () => parseRedisUrl(url)

    expect(refusal).toThrowError(expect.objectContaining({ code: 'CONFIG', param: 'store' }))
    expect(refusal).not.toThrowError(/hunter2/)
  })
})
