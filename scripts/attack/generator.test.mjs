import { isUtf8 } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import { Draw } from '../random.mjs'
import { casesOf } from './cases.mjs'
import { attackOf } from './generator.mjs'
import { anyValue, bodyOf, deepValue, escapedKey, goodMembers, manyMembers, PATHS, wideValue } from './grammar.mjs'
import { breakBody, encodeBody, mutateMembers } from './mutate-body.mjs'
import { readOptions } from './options.mjs'
import { bytesOf } from './plan.mjs'

const who = { id: 'a1', owner: 'k1', session: undefined }
const context = { seed: 1, large: 0.05, huge: 0, stolen: 's'.repeat(43), model: 'm', isListed: false }
const draws = (count) => Array.from({ length: count }, (_, seed) => new Draw(seed))
const isObject = (bytes) => {
  if (!isUtf8(bytes)) return false
  try {
    const value = JSON.parse(bytes.toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value)
  } catch {
    return false
  }
}

describe('the grammar of bodies', () => {
  it.each(Object.keys(PATHS))('generates a valid request of %s, with its own text', (dialect) => {
    for (const draw of draws(20)) {
      const body = bodyOf(goodMembers(dialect, who, 'm', draw), draw)

      expect(JSON.parse(body.toString())).toMatchObject({ model: 'm' })
      expect(body.toString()).toContain('nonce.k1.a1')
    }
  })

  it('generates JSON values of every type', () => {
    const kinds = new Set(
      draws(200).map((draw) => {
        const value = JSON.parse(anyValue(draw))
        return Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value
      }),
    )

    expect([...kinds].sort()).toEqual(['boolean', 'list', 'null', 'number', 'object', 'string'])
  })

  it('generates the requested depth, width and size', () => {
    expect(deepValue(2)).toBe('[[]]')
    expect(deepValue(2, true)).toBe('{"a":{"a":1}}')
    expect(wideValue('7', 3)).toBe('[7,7,7]')
    expect(Object.keys(JSON.parse(manyMembers(500)))).toHaveLength(500)
  })

  it('escapes keys without changing their meaning', () => {
    for (const draw of draws(50)) {
      const key = escapedKey('cache_salt', draw)
      expect(JSON.parse(key)).toBe('cache_salt')
      expect(key).not.toBe('"cache_salt"')
    }
  })

  it('mutates bodies into other valid JSON objects', () => {
    for (const draw of draws(300)) {
      const { members } = mutateMembers(goodMembers('chat', who, 'm', draw), draw, context)
      expect(isObject(bodyOf(members, draw))).toBe(true)
    }
  })

  it('breaks bodies so that they are no JSON objects in UTF-8', () => {
    for (const draw of draws(200))
      expect(isObject(breakBody(bodyOf(goodMembers('chat', who, 'm', draw)), draw))).toBe(false)
  })

  it('classifies each content coding correctly, and decompresses valid ones to the expected size', () => {
    const coded = draws(100).map((draw) => encodeBody(Buffer.from('{"a":1}'), draw))

    expect(new Set(coded.map(({ coding }) => coding)).size).toBeGreaterThan(8)
    for (const { coding, refused } of coded) if (coding.includes(',')) expect(refused).toBe(true)
    expect(coded.some(({ body, bodyBytes }) => bodyBytes > 200 * body.length)).toBe(true)
  })
})

describe('the generator', () => {
  it('generates the same attack for the same seed and number, whatever preceded it', () => {
    const [first] = [40, 41].map((n) => attackOf(n, context))

    expect(bytesOf(attackOf(40, context), 1)).toEqual(bytesOf(first, 1))
    expect(bytesOf(attackOf(40, { ...context, seed: 2 }), 1)).not.toEqual(bytesOf(first, 1))
  })

  it('generates attacks of every kind, a good part of which should be served', () => {
    const plans = Array.from({ length: 3_000 }, (_, n) => attackOf(n, context))
    const share = (test) => plans.filter(test).length / plans.length

    for (const kind of ['whole', 'slow', 'reset', 'stall', 'half-close', 'unread']) {
      expect([kind, share(({ delivery }) => delivery.kind === kind) > 0]).toEqual([kind, true])
    }
    expect(share(({ refused }) => refused)).toBeGreaterThan(0.3)
    expect(share(({ refused, broken, leaves }) => !(refused || broken || leaves))).toBeGreaterThan(0.25)
    expect(share(({ tail }) => tail !== undefined)).toBeGreaterThan(0.01)
    expect(share(({ twin }) => twin !== undefined)).toBeGreaterThan(0.005)
    expect(new Set(plans.map(({ who: { owner } }) => owner)).size).toBeGreaterThan(20)
  })

  it('marks each request that must not arrive in its tag', () => {
    for (let n = 0; n < 500; n++) {
      const plan = attackOf(n, context)
      const tag = /^x-attack: (.*)$/m.exec(bytesOf(plan, 1).toString('latin1'))?.[1]
      expect(tag?.trimEnd().endsWith('/refused')).toBe(plan.refused)
    }
  })
})

it('lists each known attack once, under a unique name', () => {
  const names = casesOf({ model: 'm', isListed: true, port: 1 }).map(({ name }) => name)

  expect(names.length).toBeGreaterThan(45)
  expect(new Set(names).size).toBe(names.length)
})

describe('the options', () => {
  it('have defaults for everything', () => {
    expect(readOptions([]).options).toMatchObject({ requests: 2000, seed: 1, modes: ['any key', 'listed tenants'] })
  })

  it('are rejected if invalid, each in a line', () => {
    expect(readOptions(['--requests', 'many', '--mode', 'x', '--large', '2']).errors).toEqual([
      '--requests: a whole number, 1 or more',
      '--large: a number from 0 to 1',
      '--mode: one of any key, listed tenants',
    ])
    expect(readOptions(['--no-such']).errors).toHaveLength(1)
  })
})
