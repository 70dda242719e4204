// The bound and the fairness of FairMap, by examples and against a slow model.

import { describe, expect, it } from 'vitest'
import { FairMap } from './fair-map.ts'

const HOUR_MS = 3_600_000

function filled(maxWeight: number, entries: readonly (readonly [key: string, weight: number])[]) {
  const left: string[] = []
  const clock = { ms: 0 }
  const map = new FairMap<string>({
    maxWeight,
    idleMs: HOUR_MS,
    now: () => clock.ms,
    onLeave: ({ key }) => left.push(key),
  })
  /** The first letter of a key is its sharer. */
  const add = (key: string, weight = 1) => map.set(key.charAt(0), key, `value of ${key}`, weight)
  for (const [key, weight] of entries) add(key, weight)
  return { map, left, clock, add }
}

const ones = (...keys: readonly string[]) => keys.map((key) => [key, 1] as const)

describe('FairMap', () => {
  it('lets one sharer have everything while nobody else wants any', () => {
    const { map, left } = filled(3, ones('a1', 'a2', 'a3', 'a4'))

    expect(left).toEqual(['a1'])
    expect([map.size, map.weight, map.get('a4')]).toEqual([3, 3, 'value of a4'])
  })

  it('takes from the sharer with most until the shares are even', () => {
    const { left } = filled(4, ones('a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'b3'))

    expect(left).toEqual(['a1', 'a2', 'b1'])
  })

  it('drops the least recently used of a sharer first', () => {
    const { map, left, add } = filled(3, ones('a1', 'a2', 'a3'))

    map.get('a1')
    add('b1')

    expect(left).toEqual(['a2'])
  })

  it('drops those of sharers that hold the same in the order in which they last gained something', () => {
    const { left } = filled(16, ones('c1', 'a1', ...'defghijklmnopqrs'.split('')))

    expect(left).toEqual(['c1', 'a1'])
  })

  it('drops those of an idle sharer first, though it holds least', () => {
    const { left, clock, add } = filled(4, ones('a1', 'b1', 'b2', 'b3'))
    clock.ms = HOUR_MS + 1

    add('b4')

    expect(left).toEqual(['a1'])
  })

  it('takes a read for use', () => {
    const { map, left, clock, add } = filled(4, ones('a1', 'b1', 'b2', 'b3'))
    clock.ms = HOUR_MS + 1
    map.get('a1')

    add('b4')

    expect(left).toEqual(['b1'])
  })

  it('adds what is small even if it is more than the others hold, and takes it from those with most', () => {
    const { left } = filled(100, [
      ['a1', 5],
      ...Array.from({ length: 95 }, (_, n) => [`${String.fromCharCode(0x4e00 + n)}1`, 1] as const),
      ['b1', 6],
    ])

    expect(left).toEqual(['a1', '\u4e001'])
  })

  it('does not add what is large and needs more than the others leave, and drops nothing for it', () => {
    const { map, left, add } = filled(10, [...ones('a1', 'a2'), ['b1', 4]])

    expect(add('a3', 7)).toBeUndefined()
    expect(left).toEqual([])
    expect(add('a4', 6)).toBeDefined()
    expect([left, map.weight]).toEqual([['a1', 'a2'], 10])
  })

  it('forgets the entry before one that is too large', () => {
    const { map, left } = filled(10, [
      ['a1', 1],
      ['a1', 11],
    ])

    expect([map.get('a1'), map.size, map.weight, left]).toEqual([undefined, 0, 0, ['a1']])
  })

  it('counts an entry for the sharer that set it last', () => {
    const { map, left, add } = filled(4, ones('a1', 'a2', 'a3', 'b1'))
    map.set('b', 'a1', '', 1)
    map.set('b', 'a2', '', 1)

    add('c1')

    expect(left).toEqual(['a1', 'a2', 'b1'])
  })

  it('counts what an entry weighs after it shrank', () => {
    const { map, left, add } = filled(10, [['a1', 9]])
    const large = add('a2', 9)
    if (large !== undefined) map.shrink(large, 2)

    add('b1', 8)

    expect([left, map.weight]).toEqual([['a1'], 10])
  })

  it('agrees with a slow model after any changes', () => {
    let seed = 7
    const random = (below: number) => {
      seed = (seed * 1103515245 + 12345) % 2147483648
      return Math.floor((seed / 2147483648) * below)
    }
    const maxWeight = 64
    const held = new Map<string, { readonly sharer: string; readonly weight: number }>()
    const map = new FairMap<string>({ maxWeight, idleMs: 1, now: () => 0, onLeave: ({ key }) => held.delete(key) })
    for (let step = 0; step < 5_000; step++) {
      const sharer = `s${random(random(2) === 0 ? 3 : 12)}`
      const key = `${sharer}-${random(6)}`
      if (random(5) === 0) {
        map.delete(key)
        continue
      }
      const weight = 1 + random(random(8) === 0 ? 70 : 8)
      const amounts = new Map<string, number>()
      for (const [other, entry] of held) {
        if (other !== key) amounts.set(entry.sharer, (amounts.get(entry.sharer) ?? 0) + entry.weight)
      }
      const total = [...amounts.values()].reduce((sum, amount) => sum + amount, 0)
      amounts.delete(sharer)
      const left = [...amounts.values()].reduce((sum, amount) => sum + Math.min(amount, weight), 0)
      const fits = total + weight <= maxWeight || weight <= 4 || weight + left <= maxWeight

      const kept = map.set(sharer, key, key, weight) !== undefined
      if (kept) held.set(key, { sharer, weight })

      const sum = [...held.values()].reduce((all, entry) => all + entry.weight, 0)
      if (kept !== fits || map.size !== held.size || map.weight !== sum || sum > maxWeight) {
        expect({ step, kept, size: map.size, weight: map.weight }).toEqual({
          step,
          kept: fits,
          size: held.size,
          weight: sum,
        })
      }
    }
    expect([...held.keys()].every((key) => map.get(key) === key)).toBe(true)
  })
})
