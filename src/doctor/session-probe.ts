// Sends two turns of several sessions through one address, and measures whether the second turn finds the KV of the first.

import { setTimeout as after } from 'node:timers/promises'
import type { Sequence } from '../kv/lmcache/sequence.ts'
import { type Facts, randomKey } from './facts.ts'

/** With a router. The chance that one of two engines gets all of them by accident is 1 in 2,048. */
const SESSIONS_WITH_ROUTER = 12
const SESSIONS_PER_ENGINE = 4
/** Few, so that small engines do not queue. */
const AT_ONCE = 4
const POLL_MS = 200

export interface SessionProbe {
  readonly sessions: number
  /** The second turn found what only the engine's own cache has: the same engine answered. */
  readonly met: number
  /** It found LMCache's whole chunks only: another engine answered, and loaded them. */
  readonly loaded: number
  readonly cold: number
  /** False if no turn found more than LMCache's whole chunks, so that `met` counts both: its engine caches nothing, or is never the same. */
  readonly isDistinguishable: boolean
}

/** Undefined if the engine does not report cached tokens. */
export function probeSessions(facts: Facts): Promise<SessionProbe | undefined> {
  return facts.once('sessions', async () => {
    const { chunks, chunkSize, second } = await facts.probe()
    if (second === undefined) return undefined
    const sessions = facts.all.length > 1 ? SESSIONS_PER_ENGINE : SESSIONS_WITH_ROUTER
    const cached: number[] = []
    for (let done = 0; done < sessions; done += AT_ONCE) {
      cached.push(...(await twoTurnsOf(facts, Math.min(AT_ONCE, sessions - done))))
    }
    const external = (await facts.keys().catch(() => undefined)) === undefined ? 0 : chunks * chunkSize
    const isDistinguishable = Math.max(second, ...cached) > external
    const cold = cached.filter((tokens) => tokens === 0).length
    const met = cached.filter((tokens) => tokens > (isDistinguishable ? external : 0)).length
    return { sessions, met, loaded: sessions - met - cold, cold, isDistinguishable }
  })
}

/**
 * Returns how many tokens of each second turn were cached. The first two change places for their second turns: a router that takes its
 * engines in turn then sends some to the engine of their first turn, and some to another one.
 */
async function twoTurnsOf(facts: Facts, sessions: number): Promise<readonly number[]> {
  const begun = await Promise.all(
    Array.from({ length: sessions }, async () => ({ key: randomKey(), prompt: await facts.newPrompt() })),
  )
  await Promise.all(begun.map(({ key, prompt }) => facts.warm(prompt, key)))
  const again = [...begun.slice(0, 2).reverse(), ...begun.slice(2)]
  return await Promise.all(again.map(async ({ key, prompt }) => (await facts.warm(prompt, key)) ?? 0))
}

/** How many sessions each LMCache server has in memory, which distinguishes the engines behind an address. Undefined without a directory. */
export async function sessionsByServer(facts: Facts): Promise<ReadonlyMap<string, number> | undefined> {
  const link = await facts.link()
  if (link === undefined || !link.topology.directory) return undefined
  await probeSessions(facts)
  const until = performance.now() + facts.parts.settleTimeoutMs
  for (;;) {
    const servers = await Promise.all(facts.extraSequences.map((sequence) => serverWith(facts, sequence)))
    const seen = servers.filter((server) => server !== undefined)
    if (seen.length < servers.length && performance.now() < until) {
      await after(POLL_MS, undefined, { signal: facts.signal })
      continue
    }
    const counts = new Map<string, number>()
    for (const server of seen) counts.set(server, (counts.get(server) ?? 0) + 1)
    return counts
  }
}

async function serverWith(facts: Facts, sequence: Sequence): Promise<string | undefined> {
  const holders = (await (await facts.link())?.client.holders(sequence, facts.signal)) ?? []
  return holders.find(({ tier }) => tier === 'l1')?.instanceId
}
