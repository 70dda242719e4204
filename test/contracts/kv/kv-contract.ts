// What every KV backend must do, according to kv/kv.ts. A backend's own test calls this and adds its own cases.

import { describe, expect, it } from 'vitest'
import type { KvHandle } from '../../../src/base/records.ts'
import type { EraseOrder, KvLink, KvSequence } from '../../../src/kv/kv.ts'
import type { KvSubject } from './subject.ts'

export type { KvSubject, KvUnderTest } from './subject.ts'

const CHUNKS = 3
const nobody = async () => 0
/** A JSON round trip, as through the store. */
const stored = (handle: KvHandle): KvHandle => JSON.parse(JSON.stringify(handle)) as KvHandle

/** Declares the contract's tests for a backend with a KV layer. `subject` is only called within tests. */
export function describeKvContract(name: string, subject: KvSubject): void {
  describe(`${name} keeps the KV contract`, () => {
    describePlans(subject)
    describePlacement(subject)
    describeHolds(subject)
    describeErasing(subject)
  })
}

async function linkOf(subject: KvSubject, backend = subject().backend): Promise<KvLink> {
  const link = await backend.open()
  if (link === undefined) throw new Error('the backend must have a KV layer')
  return link
}

function planned(link: KvLink, engineName: string, tokens: number): KvHandle {
  const handle = link.plan(engineName, tokens)
  if (handle === undefined) throw new Error(`${engineName} is not attached`)
  return stored(handle)
}

/** A sequence of `CHUNKS` whole chunks and a few tokens more, by default under a new salt. */
async function sequenceOf(
  subject: KvSubject,
  link: KvLink,
  { salt = subject().newSalt(), chunks = CHUNKS, ids = subject().idsOf } = {},
): Promise<KvSequence> {
  const { chunkSize } = link.extentOf(planned(link, subject().engineName, 1), 1)
  const tokenIds = await ids(chunks * chunkSize + Math.floor(chunkSize / 2))
  return { tokenIds, salt, handle: planned(link, subject().engineName, tokenIds.length) }
}

/** The same, computed and visible everywhere. */
async function kept(subject: KvSubject, link: KvLink, options?: Parameters<typeof sequenceOf>[2]): Promise<KvSequence> {
  const sequence = await sequenceOf(subject, link, options)
  await subject().compute(sequence.tokenIds, sequence.salt)
  await link.verify(sequence, { deadlineMs: subject().verifyDeadlineMs })
  return sequence
}

const tokensOf = (link: KvLink, { handle, tokenIds }: KvSequence) => {
  const { chunkSize, chunks } = link.extentOf(handle, tokenIds.length)
  return chunkSize * chunks
}

function describePlans(subject: KvSubject): void {
  describe('plan', () => {
    it('returns a handle that names its engine and survives the store', async () => {
      const link = await linkOf(subject)

      const handle = link.plan(subject().engineName, 1_000)

      expect(handle?.engineName).toBe(subject().engineName)
      expect(handle).toEqual(handle === undefined ? undefined : stored(handle))
    })

    it('returns none for an engine that is not attached', async () => {
      expect((await linkOf(subject)).plan('an engine that nobody has', 1_000)).toBeUndefined()
    })

    it('counts whole chunks only', async () => {
      const link = await linkOf(subject)
      const handle = planned(link, subject().engineName, 1)
      const { chunkSize } = link.extentOf(handle, 1)

      const chunks = [0, chunkSize - 1, chunkSize, 2 * chunkSize + 1].map((n) => link.extentOf(handle, n).chunks)

      expect(chunks).toEqual([0, 0, 1, 2])
    })
  })
}

function describePlacement(subject: KvSubject): void {
  describe('placement', () => {
    it('is visible and verified once the engine computed it', async () => {
      const link = await linkOf(subject)
      const sequence = await sequenceOf(subject, link)
      await subject().compute(sequence.tokenIds, sequence.salt)

      const verified = await link.verify(sequence, { deadlineMs: subject().verifyDeadlineMs })
      const located = await link.locate(sequence)

      expect(['l1', 'l2']).toContain(verified.durability)
      expect(verified.restorableTokens).toBe(tokensOf(link, sequence))
      expect(verified.tiers.total).toBe(CHUNKS)
      expect(located.tiers.total).toBe(CHUNKS)
      expect(located.chunkBytes).toBe(verified.chunkBytes)
      expect(located.chunkBytes ?? 1).toBeGreaterThan(0)
    })

    it('is unverified, and restores nothing, if nothing was computed', async () => {
      const link = await linkOf(subject)
      const sequence = await sequenceOf(subject, link)

      const verified = await link.verify(sequence, { deadlineMs: 0 })

      expect(verified).toMatchObject({ durability: 'unverified', restorableTokens: 0, chunkBytes: null })
      expect(verified.warnings.join()).not.toBe('')
      expect((await link.locate(sequence)).restorableTokens).toBe(0)
    })

    it('depends on the salt: the same ids under another salt are absent', async () => {
      const link = await linkOf(subject)
      const sequence = await kept(subject, link)

      const other = { ...sequence, salt: subject().newSalt() }

      expect(await link.verify(other, { deadlineMs: 0 })).toMatchObject({ restorableTokens: 0 })
      expect((await link.prefetch(other, { deadlineMs: 5_000 })).foundChunks).toBe(0)
    })

    it('can be prefetched completely', async () => {
      const link = await linkOf(subject)
      const sequence = await kept(subject, link)

      expect(await link.prefetch(sequence, { deadlineMs: 5_000 })).toEqual({
        foundChunks: CHUNKS,
        totalChunks: CHUNKS,
        warnings: [],
      })
    })

    it('reveals neither ids nor salt in its warnings', async () => {
      const link = await linkOf(subject)
      const sequence = await sequenceOf(subject, link)

      const { warnings } = await link.verify(sequence, { deadlineMs: 0 })

      expect(warnings.join()).not.toContain(sequence.salt)
    })
  })
}

function describeHolds(subject: KvSubject): void {
  describe('a hold', () => {
    it('lasts until its release, whether or not anything is computed', async () => {
      const link = await linkOf(subject)
      const sequence = await sequenceOf(subject, link)
      const isHeld = () => link.isHeld(sequence, nobody)

      const before = await isHeld()
      await link.hold(sequence)
      const held = await isHeld()
      const released = await link.release(sequence, nobody)

      expect([before, held, released, await isHeld()]).toEqual([false, true, true, false])
    })

    it('can be released once', async () => {
      const link = await linkOf(subject)
      const sequence = await sequenceOf(subject, link)

      expect(await link.release(sequence, nobody)).toBe(false)
      await link.hold(sequence)
      await link.release(sequence, nobody)
      expect(await link.release(sequence, nobody)).toBe(false)
    })

    it('is known to a process that only has the stored handle', async () => {
      const link = await linkOf(subject)
      const sequence = await sequenceOf(subject, link)
      await link.hold(sequence)

      const later = await linkOf(subject, subject().reopen())
      const found = { ...sequence, handle: stored(sequence.handle) }

      expect(await later.isHeld(found, nobody)).toBe(true)
      expect(await later.release(found, nobody)).toBe(true)
      expect(await link.isHeld(sequence, nobody)).toBe(false)
    })

    it("is distinguished from another's on the same chunks, and does not release it", async () => {
      const link = await linkOf(subject)
      const sequence = await sequenceOf(subject, link)
      await link.hold(sequence)
      const one = async () => 1

      expect(await link.isHeld(sequence, one)).toBe(false)
      expect(await link.release(sequence, one)).toBe(false)
      expect(await link.isHeld(sequence, nobody)).toBe(true)

      await link.hold(sequence)
      expect(await link.release(sequence, one)).toBe(true)
      expect(await link.release(sequence, nobody)).toBe(true)
    })

    it('reveals other holds only for its own ids', async () => {
      const link = await linkOf(subject)
      const sequence = await sequenceOf(subject, link)
      const asked: Uint32Array[] = []
      await link.hold(sequence)

      await link.release(sequence, async (ids) => {
        asked.push(ids)
        return 0
      })

      for (const ids of asked) expect([...ids]).toEqual([...sequence.tokenIds.subarray(0, ids.length)])
      expect(asked.every(({ length }) => length <= tokensOf(link, sequence))).toBe(true)
    })

    it('depends on the salt', async () => {
      const link = await linkOf(subject)
      const sequence = await sequenceOf(subject, link)
      await link.hold(sequence)

      expect(await link.isHeld({ ...sequence, salt: subject().newSalt() }, nobody)).toBe(false)
      await link.release(sequence, nobody)
    })
  })
}

function describeErasing(subject: KvSubject): void {
  const nothing = { deletedChunks: 0, residualChunks: 0, keptChunks: 0, warnings: [] }
  const erase = (link: KvLink, order: Partial<EraseOrder>) =>
    link.erase({ sequences: [], keep: [], deadlineMs: 15_000, ...order })

  describe('erase', () => {
    it('removes the whole sequence, and verifies that; the second time there is nothing to do', async () => {
      const link = await linkOf(subject)
      const sequence = await kept(subject, link)

      const first = await erase(link, { sequences: [sequence] })

      expect(first).toEqual({ ...nothing, deletedChunks: CHUNKS })
      expect((await link.prefetch(sequence, { deadlineMs: 5_000 })).foundChunks).toBe(0)
      expect(await erase(link, { sequences: [sequence] })).toEqual(nothing)
    })

    it('keeps chunks that others hold', async () => {
      const link = await linkOf(subject)
      const sequence = await kept(subject, link)
      const shorter = await sequenceOf(subject, link, { salt: sequence.salt, chunks: 1 })

      const receipt = await erase(link, { sequences: [sequence], keep: [shorter] })

      expect(receipt).toEqual({ ...nothing, deletedChunks: CHUNKS - 1, keptChunks: 1 })
      expect((await link.prefetch(shorter, { deadlineMs: 5_000 })).foundChunks).toBe(1)
    })

    it('finds all chunks of its salt, known or not, and of no other salt', async () => {
      const link = await linkOf(subject)
      const edited = await kept(subject, link, { ids: subject().otherIds })
      const other = await kept(subject, link)

      const receipt = await erase(link, { salts: new Set([edited.salt]) })

      expect(receipt).toEqual({ ...nothing, deletedChunks: CHUNKS })
      expect((await link.prefetch(other, { deadlineMs: 5_000 })).foundChunks).toBe(CHUNKS)
    })

    it('removes held chunks too', async () => {
      const link = await linkOf(subject)
      const sequence = await kept(subject, link)
      await link.hold(sequence)

      const receipt = await erase(link, { sequences: [sequence] })

      expect(receipt).toMatchObject({ deletedChunks: CHUNKS, residualChunks: 0 })
      await link.release(sequence, nobody)
    })

    it('has nothing to do for an empty order', async () => {
      expect(await erase(await linkOf(subject), {})).toEqual(nothing)
    })
  })
}
