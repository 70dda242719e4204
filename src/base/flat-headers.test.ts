import { describe, expect, it } from 'vitest'
import { headerIn, rawHeaderIn, replaceHeader } from './flat-headers.ts'

const flat = ['Host', 'a', 'X-Session-Id', 'one', 'x-session-id', 'two', 'Value', 'host']

describe.each([
  ['text', (name: string) => headerIn(flat, name)],
  [
    'bytes',
    (name: string) =>
      rawHeaderIn(
        flat.map((text) => Buffer.from(text, 'latin1')),
        name,
      ),
  ],
])('a header in %s', (_, find) => {
  it('is found whatever its case, the first one of several', () => {
    expect([find('host'), find('x-session-id'), find('value')]).toEqual(['a', 'one', 'host'])
  })

  it('is not found by what is a value, nor where there is none', () => {
    expect([find('one'), find('x-other-name')]).toEqual([undefined, undefined])
  })
})

it('a header without a value is none', () => {
  expect(headerIn(['host'], 'host')).toBeUndefined()
  expect(rawHeaderIn([Buffer.from('host')], 'host')).toBeUndefined()
})

it('is replaced wherever it stands', () => {
  const headers = [...flat]

  replaceHeader(headers, 'x-session-id', 'three')

  expect(headers).toEqual(['Host', 'a', 'X-Session-Id', 'three', 'x-session-id', 'three', 'Value', 'host'])
})
