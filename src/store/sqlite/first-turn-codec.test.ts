// Encoded sessions are decoded exactly; all others are left to the ordinary tables.

import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { aBoundary, aSession, fullSession, noon } from '../../../test/contracts/store/sample-records.ts'
import type { Boundary, SessionRecord } from '../../base/records.ts'
import { decodeFirstTurn, encodeFirstTurn, keyHashesIn, keySeeds, type Shape } from './first-turn-codec.ts'
import { keyHash } from './packed-bytes.ts'

function roundTrip(session: SessionRecord, boundaries: readonly Boundary[] = []) {
  const encoded = encodeFirstTurn(session, [{ boundaries, keepBoundaries: 24 }])
  return encoded && decodeFirstTurn(JSON.parse(encoded.shape) as Shape, session.lastTurnAt, encoded.data)
}

const binary = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((array) => Buffer.from(array).toString('base64url'))
const id = fc.oneof(
  binary(16),
  binary(16).map((text) => `s-${text}`),
  binary(32),
  fc.string({ minLength: 1, maxLength: 40 }),
  fc.stringMatching(/^s-[\w-]{22}$/),
  fc.stringMatching(/^[\w-]{43}$/),
)
const count = fc.oneof(fc.nat(), fc.constantFrom(0, 127, 128, 2 ** 40, Number.MAX_SAFE_INTEGER - 1))
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
const session = fc
  .record({
    id,
    lineage: id,
    named: fc.boolean(),
    head: fc.nat(),
    turns: fc.nat(),
    ago: count,
    model: optional(fc.string()),
    dialect: optional(fc.string()),
    limit: optional(fc.nat()),
    usage: optional(
      fc.record({ promptTokens: count, completionTokens: count, totalTokens: count, cachedTokens: optional(count) }),
    ),
    spaces: fc.array(fc.record({ model: fc.string(), kvEpoch: fc.nat() }), { maxLength: 2 }),
  })
  .map(({ ago, ...fields }) => {
    const record = aSession({ createdAt: noon - ago, lastTurnAt: noon })
    return JSON.parse(JSON.stringify({ ...record, ...fields })) as SessionRecord
  })

describe('a first turn', () => {
  it('is decoded exactly, or does not fit', () => {
    fc.assert(
      fc.property(
        session,
        fc.uniqueArray(fc.record({ digest: id, rank: fc.nat({ max: 20 }) }), {
          maxLength: 8,
          selector: ({ digest }) => digest,
        }),
        count,
        (session, left, lasts) => {
          const expiresAt = noon + Math.min(lasts, 2 ** 45)
          const boundaries = left.map((one) => aBoundary({ ...one, sessionId: session.id, expiresAt }))
          const decoded = roundTrip(session, boundaries)
          if (decoded !== undefined) expect(decoded).toEqual({ session, boundaries })
        },
      ),
    )
  })

  it('is found by the hashes of its keys', () => {
    fc.assert(
      fc.property(id, id, id, (id, lineage, digest) => {
        const boundaries = [aBoundary({ digest, sessionId: id })]
        const encoded = encodeFirstTurn(aSession({ id, lineage }), [{ boundaries, keepBoundaries: 4 }])
        const { id: ofId, lineage: ofLineage, digest: ofDigest } = keySeeds
        const hashes = [keyHash(id, ofId), keyHash(lineage, ofLineage), keyHash(digest, ofDigest)]
        if (encoded !== undefined) expect(keyHashesIn(encoded.data)).toEqual(hashes)
      }),
    )
  })

  it('takes about 85 bytes', () => {
    const session = aSession({
      id: `s-${randomBytes(16).toString('base64url')}`,
      named: false,
      lineage: randomBytes(16).toString('base64url'),
      createdAt: noon - 900,
      spaces: [{ model: 'meta-llama/Llama-3.1-8B', kvEpoch: 0 }],
      model: 'meta-llama/Llama-3.1-8B',
      dialect: 'chat',
      usage: { promptTokens: 1023, completionTokens: 160, totalTokens: 1183, cachedTokens: 0 },
    })
    const digest = randomBytes(32).toString('base64url')
    const boundary = aBoundary({ digest, sessionId: session.id, rank: 9, expiresAt: noon + 604_800_003 })

    const encoded = encodeFirstTurn(session, [{ boundaries: [boundary], keepBoundaries: 24 }])

    expect(encoded?.data.length).toBeLessThan(90)
    expect(roundTrip(session, [boundary])).toEqual({ session, boundaries: [boundary] })
  })

  const boundaries = (...digests: readonly string[]) => digests.map((digest) => aBoundary({ digest }))
  it.each<[string, Partial<SessionRecord>, readonly Boundary[]]>([
    ['a base window', { baseWindow: 'draft' }, []],
    ['a shared lineage', { shared: 'user' }, []],
    ['a salt of the client', { spaces: [{ model: 'small', clientSalt: 'mine', kvEpoch: 0 }] }, []],
    ['a lost space', { spacesLost: true }, []],
    ['a turn before its start', { createdAt: noon + 1 }, []],
    ['a fractional time', { createdAt: noon - 0.5 }, []],
    ['usage of several answers', { usage: { ...fullSession().usage, contextTokens: 3 } as never }, []],
    ['an id beyond ASCII', { id: 'größer' }, []],
    ['a model of a long name', { model: 'x'.repeat(2_000) }, []],
    ['a thaw', { thaw: fullSession().thaw as never }, []],
    ['many boundaries', {}, boundaries(...'abcdefghi')],
    ['one boundary twice', {}, boundaries('a', 'a')],
    ['boundaries of two expiries', {}, [...boundaries('a'), aBoundary({ digest: 'b', expiresAt: noon + 1 })]],
    ['an expired boundary', {}, [aBoundary({ expiresAt: noon - 1 })]],
  ])('does not fit with %s', (_, change, boundaries) => {
    expect(roundTrip(aSession(), [aBoundary()])).toBeDefined()
    expect(roundTrip(aSession(change), boundaries)).toBeUndefined()
  })

  it('does not fit with a stored response, nor with too many boundaries', () => {
    const responses = [{ id: 'resp-1', expiresAt: noon + 10 }]

    expect(encodeFirstTurn(aSession(), [{ boundaries: [], keepBoundaries: 4, responses }])).toBeUndefined()
    expect(encodeFirstTurn(aSession(), [{ boundaries: boundaries('a', 'b'), keepBoundaries: 1 }])).toBeUndefined()
  })
})
