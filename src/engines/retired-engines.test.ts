// Engines that left: closed when nothing is in flight any more.

import { expect, it } from 'vitest'
import { aFakeEngine } from '../../test/support/fleet-engines.ts'
import { CwmError } from '../base/errors.ts'
import { RetiredEngines } from './retired-engines.ts'

it('closes an engine when its last request has ended', () => {
  const retired = new RetiredEngines()
  const fake = aFakeEngine('http://a:8000')
  fake.inFlight = 1
  retired.add(fake.engine)
  expect(fake.isClosed).toBe(false)

  fake.inFlight = 0
  retired.closeIdle()

  expect(fake.isClosed).toBe(true)
})

it('looks by itself from time to time', async () => {
  const retired = new RetiredEngines()
  const fake = aFakeEngine('http://a:8000')
  fake.inFlight = 1
  retired.add(fake.engine)

  fake.inFlight = 0

  await expect.poll(() => fake.isClosed, { timeout: 10_000 }).toBe(true)
})

it('ends and closes what is left', async () => {
  const retired = new RetiredEngines()
  const fake = aFakeEngine('http://a:8000')
  fake.inFlight = 2
  retired.add(fake.engine)

  expect(retired.end(new CwmError('SHUTTING_DOWN', 'stopping'))).toBe(2)
  await retired.close()

  expect(fake.isClosed).toBe(true)
})
