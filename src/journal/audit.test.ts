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

  it('limits the entries that wait for a store that hangs', async () => {
    let release = () => {}
    const hanging = new Promise<void>((resolve) => {
      release = resolve
    })
    const { audit, lost } = auditOver(() => hanging)

    for (let i = 0; i < 10_005; i++) audit.record(note(`w${i}`))

    expect(await lost()).toBe(5)
    release()
    await audit.settle()
  })
})
