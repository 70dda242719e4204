// Memory of the lineages for requests without a session: user names may be megabytes long.

import { describe, expect, it } from 'vitest'
import { collectGarbage } from '../../test/support/collect-garbage.ts'
import { RequestLineages } from './request-lineages.ts'

const MIB = 2 ** 20
const USERS = 64

describe('lineages of requests without a session', () => {
  it('keep no names of users', async () => {
    const lineages = new RequestLineages({
      store: {
        maxStalenessMs: Number.POSITIVE_INFINITY,
        onChange: () => () => {},
        addDeletion: async () => {},
        changeDeletion: async () => true,
        isRetired: async () => false,
      },
      lineages: { begin: async ({ user = '' }) => ({ lineage: user.slice(0, 4), shared: 'user' }) },
      keepsKv: true,
      now: () => 0,
    })
    const take = (n: number) => {
      const user = Buffer.alloc(MIB, `${1_000 + n} `).toString('latin1')
      return lineages.take({ tenant: 'ann', isolation: 'user', user }, { model: 'm', kvEpoch: 0 })
    }
    await take(0)
    collectGarbage()
    const before = process.memoryUsage().heapUsed

    for (let n = 1; n <= USERS; n++) await take(n)

    collectGarbage()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan((USERS / 4) * MIB)
    expect((await take(1)).lineage).toBe('1001')
  })
})
