import { expect, it } from 'vitest'
import { keyOfTenant, keysOf } from './tenants.mjs'

it('divides all tenants among the connections, each to one of them', () => {
  const keys = Array.from({ length: 32 }, (_, index) => keysOf(index, 32, 1000))

  expect(keys.flat()).toHaveLength(1000)
  expect(new Set(keys.flat())).toEqual(new Set(Array.from({ length: 1000 }, (_, n) => keyOfTenant(n))))
})

it('gives each connection a key if there are fewer tenants', () => {
  expect([0, 1, 2].map((index) => keysOf(index, 3, 2))).toEqual([[keyOfTenant(0)], [keyOfTenant(1)], [keyOfTenant(0)]])
})
