// The ledger in memory: what is sent to the store, and what happens when the store does not answer.

import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { silentLogger } from '../base/logger.ts'
import { createMetrics } from '../base/metrics.ts'
import { countAt } from '../base/usage-counts.ts'
import { type LedgerAddition, ledgerGroupOf, MINUTE_MS } from '../store/ledger-methods.ts'
import { Ledger } from './ledger.ts'

const minute = Math.floor(Date.UTC(2026, 10, 30) / MINUTE_MS) * MINUTE_MS
const usage = { promptTokens: 10, completionTokens: 2, totalTokens: 12, cachedTokens: 8 }
const acme = { tenant: 'acme', key: 'ci', model: 'small' }

/** A ledger before a store that a test can turn off. `sent` is what reached it. */
function start() {
  const sent: LedgerAddition[] = []
  const state = { isAway: false, now: minute }
  const metrics = createMetrics((model) => model === 'small')
  const addToLedger = async (addition: LedgerAddition) => {
    sent.push(addition)
    if (state.isAway) throw new CwmError('STORE_UNAVAILABLE', 'away')
  }
  const ledger = new Ledger({
    store: { addToLedger },
    metrics,
    log: silentLogger,
    now: () => state.now,
    keepMs: 1_000,
  })
  const finish = (owner = acme) => ledger.finished(owner, { outcome: 'ok', usage })
  return { ledger, sent, state, metrics, finish }
}

const requestsIn = (addition: LedgerAddition | undefined) =>
  addition?.batches.map(({ tenant, rows }) => [tenant, ...rows.map(({ counts }) => counts[countAt.requests])])

describe('a flush', () => {
  it('sends one row per tenant, key and model, and nothing if nothing happened', async () => {
    const { ledger, sent, finish } = start()
    finish()
    finish()
    finish({ ...acme, model: 'unheard of' })
    finish({ ...acme, tenant: 'globex' })

    await ledger.flush()
    await ledger.flush()

    expect(sent).toHaveLength(1)
    expect(sent[0]).toMatchObject({ number: 1, keepMs: 1_000 })
    expect(requestsIn(sent[0])).toEqual([
      ['acme', 2, 1],
      ['globex', 1],
    ])
    expect(sent[0]?.batches[0]?.rows.map(({ model, at }) => [model, at])).toEqual([
      ['small', minute],
      ['other', minute],
    ])
  })

  it('separates minutes', async () => {
    const { ledger, sent, state, finish } = start()
    finish()
    state.now += MINUTE_MS
    finish()

    await ledger.flush()

    expect(sent.map(({ batches }) => batches[0]?.rows[0]?.at)).toEqual([minute, minute + MINUTE_MS])
  })

  it('divides many tenants by whole groups, so that no addition takes long', async () => {
    const { ledger, sent, finish } = start()
    const tenants = Array.from({ length: 1_000 }, (_, n) => `t-${n}`)
    for (const tenant of tenants) finish({ ...acme, tenant })

    await ledger.flush()

    const added = sent.map(({ batches }) => batches.map(({ tenant }) => tenant))
    expect(added.flat().toSorted()).toEqual(tenants.toSorted())
    expect(Math.max(...added.map(({ length }) => length))).toBeLessThan(230)
    const groups = added.map((some) => [...new Set(some.map(ledgerGroupOf))])
    expect(groups.flat()).toHaveLength(64)
    // All but the last have 200 tenants or more.
    expect(sent.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5].slice(0, sent.length))
  })
})

describe('while the store does not answer', () => {
  it('the same addition is repeated, with its number and its counts', async () => {
    const { ledger, sent, state, finish } = start()
    state.isAway = true
    finish()
    await ledger.flush()
    finish()
    await ledger.flush()
    state.isAway = false

    await ledger.flush()
    await ledger.flush()

    expect(sent.map(({ number }) => number)).toEqual([1, 1, 1, 2])
    expect(sent.map(requestsIn)).toEqual([[['acme', 1]], [['acme', 1]], [['acme', 1]], [['acme', 1]]])
    expect(new Set(sent.map(({ source }) => source)).size).toBe(1)
  })

  it('an outage takes a row per minute, and what is too much is dropped and counted', async () => {
    const { ledger, sent, state, metrics, finish } = start()
    state.isAway = true
    for (let n = 0; n < 30; n++) {
      state.now = minute + n * MINUTE_MS
      for (let tenant = 0; tenant < 2_000; tenant++) finish({ ...acme, tenant: `t-${tenant}` })
      await ledger.flush()
    }
    state.isAway = false
    sent.length = 0

    await ledger.flush()

    const rows = sent.reduce((sum, { batches }) => sum + batches.length, 0)
    expect(rows).toBeLessThanOrEqual(52_000)
    const lost = /^cwm_ledger_lost_requests_total (\d+)$/m.exec(await metrics.text())
    expect(Number(lost?.[1]) + rows).toBe(60_000)
  })
})

it('forgets what waits of an erased tenant', async () => {
  const { ledger, sent, state, finish } = start()
  state.isAway = true
  finish()
  finish({ ...acme, tenant: 'globex' })
  await ledger.flush()
  finish()

  await ledger.forget('acme')
  state.isAway = false
  sent.length = 0
  await ledger.flush()

  expect(sent.flatMap((addition) => requestsIn(addition) ?? [])).toEqual([['globex', 1]])
})

it('collects tenants beyond its memory under one name', async () => {
  const { ledger, sent, finish } = start()
  for (let n = 0; n < 20_010; n++) finish({ ...acme, tenant: `t-${n}` })

  await ledger.flush()

  const others = sent.flatMap(({ batches }) => batches).filter(({ tenant }) => tenant === '(others)')
  expect(others.map(({ rows }) => rows[0]?.counts[countAt.requests])).toEqual([10])
})
