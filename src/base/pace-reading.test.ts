// A body that comes at full speed is read in pieces.

import { setImmediate as nextIteration } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { ReadingPace } from './pace-reading.ts'

const KIB = 1024

it('pauses after each 256 KiB, until the next iteration of the event loop', async () => {
  const calls: string[] = []
  const request = { pause: () => calls.push('pause'), resume: () => calls.push('resume') }
  const pace = new ReadingPace(request as never)

  for (const kib of [64, 64, 64, 64, 64]) pace.count(kib * KIB)
  expect(calls).toEqual(['pause'])
  await nextIteration()
  pace.count(192 * KIB)
  await nextIteration()

  expect(calls).toEqual(['pause', 'resume', 'pause', 'resume'])
})
