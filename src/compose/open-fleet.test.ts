import { expect, it } from 'vitest'
import { RENEW_MS } from '../engines/placement-cache.ts'
import { placementTtlMs } from './open-fleet.ts'

it('a placement outlives idle sessions, and never ends between two renewals of a key in use', () => {
  expect(placementTtlMs(600_000)).toBeGreaterThan(RENEW_MS)
  expect(placementTtlMs(90 * 24 * 3_600_000)).toBe(90 * 24 * 3_600_000)
  expect(placementTtlMs(0)).toBeGreaterThan(RENEW_MS)
})
