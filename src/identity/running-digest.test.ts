// The digest of a growing text is that of the whole text, however long it is and wherever it was cut.

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { RunningDigest } from './running-digest.ts'

const whole = (text: string) => createHash('sha256').update(text).digest('base64url')
const text = fc
  .tuple(fc.string({ unit: 'grapheme', maxLength: 20 }), fc.integer({ min: 0, max: 1_000 }))
  .map(([part, times]) => part.repeat(times))

it('is that of all texts together, and is not changed by what is only asked for', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 6 }), text, (texts, last) => {
      const digest = new RunningDigest()
      let all = ''
      for (const one of texts) {
        digest.add([one, 'm1:', one])
        all += `${one}m1:${one}`
        expect(digest.with(last)).toBe(whole(all + last))
        expect(digest.with()).toBe(whole(all))
      }
    }),
  )
})
