// The identity behind an attack: a key in any header and scheme that clients use, no key, or ambiguous credentials that must be rejected.

import { createHash } from 'node:crypto'

/** Few, so that they collide on session names. */
const KEYS = 8

export const keyOf = (owner) => `attack-key-of-${owner}-0123456789`
export const keyHash = (key) => createHash('sha256').update(key).digest('hex')
/** Attackers that the settings list, if tenants are listed. */
export const listedAttackers = Array.from({ length: KEYS }, (_, n) => `k${n}`)

const basicOf = (owner) => `Basic ${Buffer.from(`${owner}:attack`).toString('base64')}`

const WAYS = [
  [6, (key) => [['Authorization', `Bearer ${key}`]]],
  [2, (key) => [['authorization', `bearer  ${key}`]]],
  [3, (key) => [['X-Api-Key', key]]],
  [2, (key) => [['api-key', key]]],
  [
    1,
    (key) => [
      ['Authorization', `Bearer ${key}`],
      ['x-api-key', key],
    ],
  ],
]

/** `{ owner, headers, refused }`. `isListed`: the settings list tenants, and reject everyone else. */
export function drawIdentity(draw, isListed) {
  const owner = `k${draw.below(KEYS)}`
  const other = `k${draw.below(KEYS)}x`
  const byKey = () => ({ owner, headers: draw.weighted(WAYS)(keyOf(owner)), refused: false })
  return draw.weighted([
    [14, byKey],
    [3, () => ({ owner: 'nobody', headers: [], refused: isListed })],
    [1, () => ({ owner: other, headers: draw.weighted(WAYS)(keyOf(other)), refused: isListed })],
    [1, () => ({ owner: `basic-${owner}`, headers: [['Authorization', basicOf(owner)]], refused: isListed })],
    [1, () => ({ owner: `token-${owner}`, headers: [['Authorization', `Token ${owner}`]], refused: isListed })],
    [1, () => behindFrontProxy(owner, isListed)],
    [1, () => ({ owner, headers: draw.pick(contradictions(owner, other)), refused: true })],
  ])()
}

/** The login of a proxy in front, beside a key. If keys are listed, the key alone is the identity, otherwise both together. */
function behindFrontProxy(owner, isListed) {
  const headers = [
    ['Authorization', basicOf('front')],
    ['x-api-key', keyOf(owner)],
  ]
  return { owner: isListed ? owner : `front-${owner}`, headers, refused: false }
}

const contradictions = (owner, other) => [
  [
    ['Authorization', `Bearer ${keyOf(owner)}`],
    ['x-api-key', keyOf(other)],
  ],
  [
    ['x-api-key', keyOf(owner)],
    ['api-key', keyOf(other)],
  ],
  [
    ['Authorization', `Bearer ${keyOf(owner)}`],
    ['Authorization', `Bearer ${keyOf(other)}`],
  ],
]
