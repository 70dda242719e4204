// cwm's own HMAC is Node's, for any key and text.

import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { HmacSha256 } from './hmac.ts'

it('is what createHmac makes of the same key and text', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.string({ unit: 'binary' }), (bytes, text) => {
      const key = Buffer.from(bytes)

      expect(new HmacSha256(key).of(text)).toBe(createHmac('sha256', key).update(text).digest('base64url'))
    }),
  )
})
