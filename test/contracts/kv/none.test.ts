// cwm without a KV layer.

import { expect, it } from 'vitest'
import { noKv } from '../../../src/kv/none/none.ts'
import { openIfReachable } from '../../../src/kv/open.ts'

it('has no link and guarantees nothing', async () => {
  const warnings: string[] = []

  expect(noKv.expects).toEqual({ pin: false, quota: false })
  expect(await noKv.open()).toBeUndefined()
  expect(await openIfReachable(noKv, warnings)).toBeUndefined()
  expect(warnings).toEqual([])
})

it('is neither healthy nor unhealthy', async () => {
  noKv.invalidate()

  expect(await noKv.health()).toEqual({ ok: null, pins: false, warnings: [], servers: [] })
})
