// The arithmetic of a plan, on the numbers of Llama-3.1-8B: 128 KiB a token.

import { describe, expect, it } from 'vitest'
import type { KvShape } from './kv-shape.ts'
import { type PlanInput, planOf, tokenBytesOf } from './plan.ts'

const llama: KvShape = {
  modelType: 'llama',
  dtype: 'bfloat16',
  fullBytesPerToken: 131_072,
  slidingBytesPerToken: 0,
  slidingWindow: undefined,
  layers: { full: 32, sliding: 0, state: 0 },
  kvHeads: 8,
  latent: false,
  notes: [],
}

const input: PlanInput = {
  bytes: tokenBytesOf(llama, 1),
  sessions: 0,
  context: 100_000,
  windows: 100,
  turns: 10,
  turnsPerMinute: 1,
  answer: 500,
  l1Bytes: undefined,
  bandwidths: [],
  prefillRate: undefined,
}

describe('tokenBytesOf', () => {
  it('divides heads among GPUs, and copies them where there are more GPUs than heads', () => {
    expect(tokenBytesOf(llama, 8)).toEqual({ stored: 131_072, perRank: 16_384, slidingPerSession: 0 })
    expect(tokenBytesOf(llama, 16)).toEqual({ stored: 262_144, perRank: 16_384, slidingPerSession: 0 })
    expect(() => tokenBytesOf(llama, 3)).toThrow(expect.objectContaining({ param: '--tp' }))
  })

  it('counts a latent cache once in LMCache and on every GPU', () => {
    const latent = { ...llama, fullBytesPerToken: 70_272, kvHeads: 1, latent: true }

    expect(tokenBytesOf(latent, 8)).toEqual({ stored: 70_272, perRank: 70_272, slidingPerSession: 0 })
  })

  it('keeps all of the sliding layers in LMCache, and their window on the GPU', () => {
    const oss = { ...llama, fullBytesPerToken: 24_576, slidingBytesPerToken: 24_576, slidingWindow: 128 }

    expect(tokenBytesOf(oss, 1)).toEqual({ stored: 49_152, perRank: 24_576, slidingPerSession: 3_145_728 })
  })
})

describe('planOf', () => {
  it('gives a window of 100,000 tokens 13.1 GB, and a hundred of them 1.3 TB', () => {
    const plan = planOf(input)

    expect(plan.contextBytes).toBe(13_107_200_000)
    expect(plan.windowsBytes).toBe(1_310_720_000_000)
  })

  it('loads a hundred of them in 187 s from NVMe at 7 GB/s, and in 17 minutes over an ideal 10 GbE', () => {
    const [nvme, tenGbe] = planOf(input).loads

    expect(nvme?.windowsSeconds).toBeCloseTo(187.2, 1)
    expect(tenGbe?.windowsSeconds).toBeCloseTo(1_048.6, 1)
    expect(nvme?.loadingIsSlower).toBeNull()
  })

  it('says where loading is slower than computing: below bytes per token times prefill rate', () => {
    const plan = planOf({ ...input, prefillRate: 10_000, bandwidths: [1.25e9, 1.31072e9, 7e9] })

    expect(plan.prefill).toEqual({ contextSeconds: 10, windowsSeconds: 1_000, breakEvenBandwidth: 1_310_720_000 })
    expect(plan.loads.map(({ loadingIsSlower }) => loadingIsSlower)).toEqual([true, false, false])
  })

  it('counts how many contexts fit into memory, and sessions with windows behind it', () => {
    const plan = planOf({ ...input, sessions: 50, l1Bytes: 64e9 })

    expect(plan.contextsInL1).toBe(4)
    expect(plan.l2Bytes).toBe(150 * 13_107_200_000)
  })

  it('sizes the stores by what a session, a turn, a window and its tokens take', () => {
    const plan = planOf({ ...input, sessions: 1_000, context: 10_000, windows: 10 })

    expect(plan.sqliteBytes).toBe(1_000 * (570 + 10 * 300) + 10 * (1_600 + 82_000))
    expect(plan.redisBytes).toBe(1_000 * (1_150 + 10 * 460) + 10 * (2_550 + 82_000))
  })

  it('needs one proxy per half a core of turns', () => {
    // 295 + 12.5 × 40 KB + 12.4 × 500 events = 6,995 µs a turn, 100 turns a second.
    const plan = planOf({ ...input, sessions: 6_000, context: 10_000 })

    expect(plan.proxies.requestsPerSecond).toBe(100)
    expect(plan.proxies.cores).toBeCloseTo(0.6995, 4)
    expect(plan.proxies.count).toBe(2)
    expect(planOf(input).proxies.count).toBe(1)
  })
})
