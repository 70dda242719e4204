import { describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import type { LibraryBuild, LibraryRecord } from '../base/library-records.ts'
import type { WindowRecord } from '../base/records.ts'
import { type FreezeJob, freezePart } from './freeze-part.ts'
import type { LibraryParts } from './parts.ts'

type Step = 'frozen' | 'failed' | CwmError

/** The parts of a library room in which each freeze takes the next step, and the engine answers or not. */
function roomOf(steps: readonly Step[], { away = 0, freezing = false } = {}) {
  const seen = { freezes: 0, deleted: 0, listed: 0 }
  let window: Partial<WindowRecord> | undefined = freezing ? { id: 'old', state: 'freezing' } : undefined
  const create = async () => {
    const step = steps[seen.freezes++] ?? 'frozen'
    if (step instanceof CwmError) throw step
    window = { id: 'new', state: step, ...(step === 'failed' ? { reason: 'no such kernel' } : {}) }
    return window
  }
  const list = async () => {
    if (seen.listed++ < away) throw new CwmError('UPSTREAM_REFUSED', 'nobody listens')
    return []
  }
  const parts = {
    retryMs: 1,
    settleMs: 1,
    store: {
      getWindow: async () => window,
      getLibraryPart: async () => ({ dialect: 'chat', model: 'm', messages: [], shaping: {} }),
      acquireLease: async () => true,
      releaseLease: async () => {},
      changeWindow: async () => {
        window = { ...window, state: 'failed' }
        return true
      },
    },
    windows: { create, isBusy: () => false, showSettled: async () => window },
    deletions: {
      deleteWindow: async () => {
        seen.deleted++
        window = undefined
      },
    },
    freezeSlots: { run: (_: string, work: () => Promise<unknown>) => work() },
    fleet: { pick: () => ({ models: { list } }) },
    log: { error: () => {} },
  } as unknown as LibraryParts
  return { parts, seen }
}

const manifest = { model: 'm', tokensPerWindow: 512, titles: [], parts: [], tags: [] }
const build: LibraryBuild = { id: 'b', manifest, actor: 'ann', startedAt: 0 }
const library: LibraryRecord = { tenant: 't', name: 'law', revision: 1, createdAt: 0, changedAt: 0, build, stale: [] }
const job = (change: Partial<FreezeJob> = {}): FreezeJob => ({
  library,
  build,
  apiKey: undefined,
  signal: new AbortController().signal,
  isCurrent: async () => true,
  ...change,
})

describe('a part of a library', () => {
  it('is frozen at the next attempt if one fails', async () => {
    const { parts, seen } = roomOf(['failed', 'failed', 'frozen'])

    expect(await freezePart(parts, job(), 'w')).toBe('done')
    expect(seen.freezes).toBe(3)
  })

  it('is given up after four attempts, with the reason', async () => {
    const { parts, seen } = roomOf(['failed', 'failed', 'failed', 'failed', 'frozen'])

    expect(await freezePart(parts, job(), 'w')).toMatchObject({ reason: 'no such kernel' })
    expect(seen.freezes).toBe(4)
  })

  it('is given up at once if there is no room for it', async () => {
    const { parts, seen } = roomOf([new CwmError('QUOTA_EXCEEDED', 'no room')])

    expect(await freezePart(parts, job(), 'w')).toMatchObject({ reason: 'no room' })
    expect(seen.freezes).toBe(1)
  })

  it('waits as long as there is no slot or no engine', async () => {
    const busy = Array.from({ length: 9 }, () => new CwmError('OVERLOADED', 'later'))
    const failed = Array.from({ length: 9 }, () => 'failed' as const)
    const { parts, seen } = roomOf([...busy, ...failed, 'frozen'], { away: 9 })

    expect(await freezePart(parts, job(), 'w')).toBe('done')
    expect(seen.freezes).toBe(19)
  })

  it('whose freeze nobody continues is deleted, and frozen again', async () => {
    const { parts, seen } = roomOf(['frozen'], { freezing: true })

    expect(await freezePart(parts, job(), 'w')).toBe('done')
    expect(seen).toMatchObject({ deleted: 1, freezes: 1 })
  })

  it('is left when the library changes', async () => {
    const { parts, seen } = roomOf([])

    expect(await freezePart(parts, job({ isCurrent: async () => false }), 'w')).toBe('changed')
    expect(seen.freezes).toBe(0)
  })

  it('is left when cwm stops', async () => {
    const freeze = freezePart(roomOf([]).parts, job({ signal: AbortSignal.abort() }), 'w')

    await expect(freeze).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
  })
})
