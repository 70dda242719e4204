// LMCache behind the KV port: the simulated one, or the real one with CWM_CONTRACT=engine.

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '../../../src/base/logger.ts'
import { LmcacheBackend } from '../../../src/kv/lmcache/backend.ts'
import { LmcacheConnector } from '../../../src/kv/lmcache/connector.ts'
import { openIfReachable } from '../../../src/kv/open.ts'
import { idsOf, warm } from '../engine/asks.ts'
import { longText, newSalt, openTarget, type Target } from '../engine/target.ts'
import { describeKvContract, type KvUnderTest } from './kv-contract.ts'

let target: Target
let current: KvUnderTest

beforeAll(async () => {
  target = await openTarget()
  const [text, otherText] = [longText(2_000), longText(2_000)]
  current = {
    backend: backendOf({ coordinatorUrl: target.urls.coordinator }),
    reopen: () => backendOf({ coordinatorUrl: target.urls.coordinator }),
    engineName: target.root,
    idsOf: async (count) => Uint32Array.from(await idsOf(target, text, count)),
    otherIds: async (count) => Uint32Array.from(await idsOf(target, otherText, count)),
    compute: async (tokenIds, salt) => void (await warm(target, [...tokenIds], salt)),
    newSalt,
    verifyDeadlineMs: 10_000,
  }
})

afterAll(() => target?.close())

interface Addresses {
  readonly coordinatorUrl?: string
  readonly lmcacheUrl?: string
}

function backendOf(addresses: Addresses): LmcacheBackend {
  const link = new LmcacheConnector({ ...addresses, timeoutMs: 10_000, now: Date.now, log: silentLogger })
  return new LmcacheBackend(link, Date.now)
}

/** Nothing listens on the discard port. */
const NOBODY = 'http://127.0.0.1:9'

describeKvContract('lmcache', () => current)

describe('the LMCache backend', () => {
  it('stores the same handle as earlier versions', async () => {
    const handle = (await current.backend.open())?.plan(target.root, 1_000)

    expect(handle).toEqual({ engineName: target.root, worldSize: target.worldSize, chunkSize: target.chunkSize })
  })

  it('rejects the handle of another backend', async () => {
    const link = await current.backend.open()
    const sequence = { tokenIds: new Uint32Array(1_000), salt: newSalt(), handle: { engineName: target.root, slot: 3 } }

    await expect(link?.hold(sequence)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
    await expect(link?.release(sequence, async () => 0)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
  })

  it('is unreachable, not absent, if none of the given addresses answers', async () => {
    const away = backendOf({ coordinatorUrl: NOBODY })
    const warnings: string[] = []

    expect(away.expects.pin).toBe(true)
    await expect(away.open()).rejects.toMatchObject({ code: 'LMCACHE_UNREACHABLE' })
    expect(await openIfReachable(away, warnings)).toBe('away')
    expect(warnings).toEqual([expect.stringContaining(NOBODY)])
    expect((await away.health()).ok).toBe(false)
  })

  // A coordinator that stopped: its pins are checked once it is back.
  it('can neither hold nor verify while only a server answers, and requests the release again', async () => {
    const link = await backendOf({ coordinatorUrl: NOBODY, lmcacheUrl: target.urls.lmcache }).open()
    const handle = link?.plan(target.root, 1_000)
    if (link === undefined || handle === undefined) throw new Error('the server did not answer')
    const sequence = { tokenIds: new Uint32Array(1_000).fill(7), salt: newSalt(), handle }

    expect(link.capabilities.pin).toBe(false)
    expect(await link.isHeld(sequence, async () => 0)).toBeUndefined()
    await expect(link.hold(sequence)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
    await expect(link.release(sequence, async () => 0)).rejects.toMatchObject({ code: 'LMCACHE_UNREACHABLE' })
    expect(await link.erase({ sequences: [sequence], keep: [], deadlineMs: 1_000 })).toMatchObject({
      deletedChunks: 0,
      residualChunks: null,
    })
  })
})
