// The audit log on a store that works, fails, and hangs.

import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { createMetrics } from '../base/metrics.ts'
import type { AuditEntry } from '../base/records.ts'
import { Audit, type AuditParts, type NewAuditEntry } from './audit.ts'

const note = (name: string): NewAuditEntry => ({
  tenant: 'acme',
  actor: 'main',
  action: 'freeze',
  target: 'window',
  name,
  outcome: 'ok',
  receipt: { tokens: 512 },
})

function auditOver(appendAudit: (entry: AuditEntry, keep: number) => Promise<void>) {
  const lines: unknown[] = []
  const metrics = createMetrics()
  const log = { error: (line: unknown) => lines.push(line) } as unknown as AuditParts['log']
  const listAudit = async () => ({ items: [] })
  const audit = new Audit({ store: { appendAudit, listAudit }, metrics, log, now: () => 1_000, keep: 7 })
  const lost = async () => (await metrics.auditErrors.get()).values[0]?.value
  return { audit, lines, lost }
}

describe('Audit', () => {
  it('stores entries in call order, each with the time and a unique id', async () => {
    const stored: (AuditEntry & { keep: number })[] = []
    const { audit } = auditOver(async (entry, keep) => {
      // The first is the slowest.
      for (let turn = stored.length; turn < 3; turn++) await Promise.resolve()
      stored.push({ ...entry, keep })
    })

    for (const name of ['a', 'b', 'c']) audit.record(note(name))
    await audit.settle()

    expect(stored.map(({ name, at, keep }) => [name, at, keep])).toEqual([
      ['a', 1_000, 7],
      ['b', 1_000, 7],
      ['c', 1_000, 7],
    ])
    expect(new Set(stored.map(({ id }) => id)).size).toBe(3)
  })

  it('does not fail if the store does: the entry is counted and logged', async () => {
    const { audit, lines, lost } = auditOver(async ({ name }) => {
      if (name === 'b') throw new CwmError('STORE_UNAVAILABLE', 'away')
    })

    for (const name of ['a', 'b', 'c']) audit.record(note(name))
    await audit.settle()

    expect(lines).toEqual([{ audit: expect.objectContaining(note('b')), why: 'store_unavailable' }])
    expect(await lost()).toBe(1)
  })

  it('limits the entries that wait for a store that hangs, and leaves room for other tenants', async () => {
    let release = () => {}
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    const { audit, lost } = auditOver(() => hanging)

    for (let i = 0; i < 5_005; i++) audit.record(note(`w${i}`))
    audit.record({ ...note('w'), tenant: 'globex' })

    expect(await lost()).toBe(5)
    release()
    await audit.settle()
  })

  describe('of failed attempts', () => {
    const failed = (name: string, more: Partial<NewAuditEntry> = {}): NewAuditEntry => {
      const { tenant, actor } = note(name)
      return { tenant, actor, action: 'delete', target: 'window', name, outcome: 'window_not_found', ...more }
    }

    /** A log whose store replaces entries by id. `release` lets the store answer. */
    function collecting({ hangs = false } = {}) {
      const stored = new Map<string, AuditEntry>()
      let writes = 0
      let now = 1_000
      let release = () => {}
      const answered = hangs ? new Promise<void>((resolve) => (release = resolve)) : undefined
      const appendAudit = async (entry: AuditEntry) => {
        writes++
        stored.set(entry.id, entry)
        await answered
      }
      const { metrics, log } = { metrics: createMetrics(), log: { error: () => {} } as unknown as AuditParts['log'] }
      const audit = new Audit({
        store: { appendAudit, listAudit: async () => ({ items: [] }) },
        metrics,
        log,
        now: () => now,
        keep: 7,
      })
      const summary = () => [...stored.values()].map(({ name, count, at, lastAt }) => [name, count, at, lastAt])
      return { audit, summary, release, writes: () => writes, pass: (ms: number) => (now += ms) }
    }

    it('makes one entry of equal ones within ten minutes, with their number and the time of the last', async () => {
      const { audit, summary, pass } = collecting()
      for (let n = 0; n < 5; n++) {
        audit.record(failed('w'))
        await audit.settle()
        pass(1_000)
      }

      expect(summary()).toEqual([['w', 5, 1_000, 5_000]])
    })

    it('begins a new entry ten minutes after the first', async () => {
      const { audit, summary, pass } = collecting()
      audit.record(failed('w'))
      pass(600_000)
      audit.record(failed('w'))
      pass(1)
      audit.record(failed('w'))
      await audit.settle()

      expect(summary()).toEqual([
        ['w', 2, 1_000, 601_000],
        ['w', undefined, 601_001, undefined],
      ])
    })

    it.each([
      ['another tenant', { tenant: 'globex' }],
      ['another actor', { actor: 'second' }],
      ['another operation', { action: 'thaw' }],
      ['another target', { target: 'session' }],
      ['another name', { name: 'v' }],
      ['another code', { outcome: 'busy' }],
    ] as const)('keeps those of %s apart', async (_, more) => {
      const { audit, summary } = collecting()
      audit.record(failed('w'))
      audit.record(failed('w', more))
      await audit.settle()

      expect(summary()).toHaveLength(2)
    })

    it('never makes one entry of equal successes', async () => {
      const { audit, summary } = collecting()
      for (let n = 0; n < 3; n++) audit.record(note('w'))
      await audit.settle()

      expect(summary()).toHaveLength(3)
    })

    it('stores a repeated one once for all that were recorded while it waited', async () => {
      const { audit, summary, writes, release } = collecting({ hangs: true })
      audit.record(note('first'))
      await Promise.resolve()
      for (let n = 0; n < 1_000; n++) audit.record(failed('w'))
      release()
      await audit.settle()

      expect(writes()).toBe(2)
      expect(summary()).toContainEqual(['w', 1_000, 1_000, 1_000])
    })

    it('forgets them when a tenant is erased, so that no repetition brings an entry back', async () => {
      const { audit, summary } = collecting()
      audit.record(failed('w'))
      audit.record({ ...note('acme'), action: 'erase', target: 'tenant' })
      audit.record(failed('w'))
      await audit.settle()

      expect(summary().filter(([name]) => name === 'w')).toHaveLength(2)
    })
  })
})
