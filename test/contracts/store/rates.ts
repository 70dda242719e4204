// The contract for what accounts use within a minute.

import { beforeEach, describe, expect, it } from 'vitest'
import type { RateAccount } from '../../../src/store/rate-methods.ts'
import type { Store } from '../../../src/store/store.ts'
import type { Subject } from './subject.ts'

const whole: RateAccount = { name: '', limit: { requests: 3, tokens: 100 } }
const key: RateAccount = { name: 'ci', limit: { tokens: 40 } }

export function describeRates(subject: Subject): void {
  describe('rates', () => {
    let store: Store
    beforeEach(() => {
      store = subject().store
    })

    it('are taken until a request or its tokens do not fit, and then nothing is added', async () => {
      const first = await store.takeRate('acme', [whole], 60)
      const tooMany = await store.takeRate('acme', [whole], 41)
      const exact = await store.takeRate('acme', [whole], 40)
      const third = await store.takeRate('acme', [whole], 0)
      const fourth = await store.takeRate('acme', [whole], 0)

      expect(first).toMatchObject({ uses: [{ requests: 1, tokens: 60 }], waitMs: { requests: 0, tokens: 0 } })
      expect(Math.abs((first.at ?? 0) - Date.now() / 1000)).toBeLessThan(5)
      expect(tooMany).toMatchObject({ at: undefined, uses: [{ requests: 1, tokens: 60 }], waitMs: { requests: 0 } })
      expect(exact.uses).toMatchObject([{ requests: 2, tokens: 100 }])
      expect(third.uses).toMatchObject([{ requests: 3, tokens: 100 }])
      expect(fourth).toMatchObject({ at: undefined, waitMs: { tokens: 0 } })
      for (const wait of [tooMany.waitMs.tokens, fourth.waitMs.requests]) {
        expect(wait).toBeGreaterThan(50_000)
        expect(wait).toBeLessThanOrEqual(61_000)
      }
    })

    it('say when nothing of them counts any longer', async () => {
      const { uses } = await store.takeRate('acme', [whole], 0)

      expect(uses[0]?.tokensResetMs).toBe(0)
      expect(uses[0]?.requestsResetMs).toBeGreaterThan(55_000)
      expect(uses[0]?.requestsResetMs).toBeLessThanOrEqual(61_000)
    })

    it('have to fit into all accounts of a request', async () => {
      const refused = await store.takeRate('acme', [whole, key], 41)
      const taken = await store.takeRate('acme', [whole, key], 40)
      const byKey = await store.takeRate('acme', [whole, key], 1)
      const byOther = await store.takeRate('acme', [whole], 60)

      expect(refused).toMatchObject({ at: undefined, uses: [{ requests: 0, tokens: 0 }, { tokens: 0 }] })
      expect(taken.uses).toMatchObject([{ tokens: 40 }, { requests: 1, tokens: 40 }])
      expect(byKey).toMatchObject({ at: undefined, uses: [{ tokens: 40 }, { tokens: 40 }] })
      expect(byOther.uses).toMatchObject([{ requests: 2, tokens: 100 }])
    })

    it('are counted by owner', async () => {
      await store.takeRate('acme', [whole], 100)

      expect((await store.takeRate('bolt', [whole], 100)).at).toBeDefined()
    })

    it('are settled: what was not used is available again, and what was used beyond it counts', async () => {
      const { at = 0 } = await store.takeRate('acme', [whole, key], 40)

      await store.settleRate('acme', ['', 'ci'], at, { requests: 0, tokens: -30 })
      const settled = await store.readRates('acme', ['', 'ci'])
      await store.settleRate('acme', ['', 'ci'], at, { requests: 0, tokens: 200 })
      const beyond = await store.takeRate('acme', [whole], 0)

      expect(settled).toMatchObject([
        { requests: 1, tokens: 10 },
        { requests: 1, tokens: 10 },
      ])
      expect(beyond).toMatchObject({ at: undefined, uses: [{ requests: 1, tokens: 210 }] })
    })

    it('never fall below zero, and nothing is given back from a second that no longer counts', async () => {
      const { at = 0 } = await store.takeRate('acme', [whole], 10)

      await store.settleRate('acme', [''], at, { requests: -1, tokens: -50 })
      const nothing = await store.readRates('acme', [''])
      await store.takeRate('acme', [whole], 10)
      await store.settleRate('acme', [''], at - 100, { requests: -1, tokens: -10 })

      expect(nothing).toEqual([{ requests: 0, tokens: 0, requestsResetMs: 0, tokensResetMs: 0 }])
      expect(await store.readRates('acme', [''])).toMatchObject([{ requests: 1, tokens: 10 }])
    })

    it('are nothing for an account that was never used', async () => {
      expect(await store.readRates('nobody', ['', 'ci'])).toMatchObject([{ requests: 0 }, { tokens: 0 }])
    })

    it('never exceed a limit, however many take at once', async () => {
      const account: RateAccount = { name: '', limit: { tokens: 1_000 } }

      const answers = await Promise.all(Array.from({ length: 200 }, () => store.takeRate('acme', [account], 7)))

      expect(answers.filter(({ at }) => at !== undefined)).toHaveLength(142)
      expect(await store.readRates('acme', [''])).toMatchObject([{ requests: 142, tokens: 994 }])
    })
  })
}
