import { describe, expect, it } from 'vitest'
import { engineIdOf, parseEngineUrl } from './engine-url.ts'

describe('the id of an engine', () => {
  it.each([
    ['http://Engine:8000', 'http://engine:8000'],
    ['http://engine:8000/', 'http://engine:8000'],
    ['http://engine:8000/v1', 'http://engine:8000'],
    ['http://engine:8000/v1/', 'http://engine:8000'],
    ['http://engine:80', 'http://engine'],
    ['https://host/models/tiny/v1', 'https://host/models/tiny'],
    ['http://[::1]:8000', 'http://[::1]:8000'],
  ])('is the same however its address is written: %s', (text, id) => {
    expect(engineIdOf(text)).toBe(id)
  })

  it.each(['engine:8000', 'ftp://engine', 'http://engine?x=1', 'http://user:pass@engine'])(
    'exists only for an address that cwm can use, not %s',
    (text) => {
      expect(() => parseEngineUrl(text)).toThrow(/^upstream must/)
    },
  )
})
