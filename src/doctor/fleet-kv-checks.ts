// Checks the KV of several engines: which LMCache server each one uses, whether they store KV in the same form, and whether each loads what the
// others stored.

import type { LmcacheConnection } from '../kv/lmcache/connector.ts'
import type { LmcacheTopology } from '../kv/lmcache/topology.ts'
import type { Check } from './check.ts'
import type { Facts } from './facts.ts'
import { type Finding, failed, mergeFindings, ok, skipped, warning } from './finding.ts'
import { askAll, differ, isFleet, listAnswers } from './of-engines.ts'

/** With more engines, only pairs with the first engine are tried, in both directions. */
const MAX_FOR_ALL_PAIRS = 4
const BYTES_PER_MIB = 2 ** 20

/** Run once chunks are stored, and before a probe loads them elsewhere. */
export const fleetServerChecks: readonly Check[] = [
  {
    id: 'fleet-servers',
    title: 'Each engine has its LMCache server',
    proves: "prefetches, probes and receipts ask the server that holds the engine's KV",
    applies: isFleet,
    run: async (facts) => {
      const link = await facts.link()
      if (link === undefined) return skipped('LMCache is not configured')
      const findings = facts.all.map(async (one) => ({
        name: one.engine.name,
        finding: await serverOf(one, link).catch(() => skipped('its probe failed')),
      }))
      return mergeFindings(await Promise.all(findings))
    },
  },
  {
    id: 'fleet-kv-form',
    title: 'Engines store KV in the same form',
    proves: 'data type and size of a chunk are equal, so that one engine can load what another stored',
    applies: isFleet,
    run: async (facts) => {
      const { answers, unanswered } = await askAll(facts, formOf)
      if (answers.length < 2)
        return skipped(`fewer than two engines show their KV (GET /metrics, or LMCache's coordinator)`)
      const types = answers.map(({ name, value }) => ({ name, value: value.form }))
      const blocks = answers.map(({ name, value }) => ({ name, value: value.block }))
      if (differ(types)) {
        return failed(
          `${listAnswers(types)}${unanswered}`,
          'start vLLM with the same --dtype, --kv-cache-dtype and --tensor-parallel-size on every engine, and every lmcache server with the same --chunk-size',
        )
      }
      if (differ(blocks)) {
        return warning(
          `${listAnswers(blocks)}${unanswered}`,
          'start vLLM with the same --block-size on every engine: cached tokens are counted in blocks',
        )
      }
      return ok(`${types[0]?.value}, ${blocks[0]?.value}, on ${answers.length} engines${unanswered}`)
    },
  },
]

/** Run before what the doctor stored is deleted. */
export const fleetLoadChecks: readonly Check[] = [
  {
    id: 'fleet-l2',
    title: 'Engines share a tier behind memory',
    proves: 'each engine loads KV that another stored under the same salt, and nothing under another salt',
    applies: isFleet,
    run: async (facts) => {
      if ((await facts.link()) === undefined) return skipped('LMCache is not configured: a session that moves is cold')
      const { answers, unanswered } = await askAll(facts, (one) => one.probe())
      if (answers.length < 2) return skipped(`fewer than two engines answer${unanswered}`)
      const able = facts.all.filter(({ engine }) => answers.some(({ name }) => name === engine.name))
      if (answers.some(({ value }) => value.chunks === 0))
        return skipped('the limit of the model is less than one chunk')
      if (answers.some(({ value }) => value.second === undefined))
        return skipped('the engines do not report cached tokens, so what was loaded is unknown')
      const readers = await Promise.all(able.map((reader) => loadsAt(reader, able)))
      return judgeLoads(readers.flat(), able.length, unanswered)
    },
  },
]

/** Sees which server stores the engine's KV, and compares it with the settings. */
async function serverOf(facts: Facts, { client, topology }: LmcacheConnection): Promise<Finding> {
  const { kvServer } = facts.engine
  const known = topology.servers.flatMap(({ instanceId }) => (instanceId === undefined ? [] : [instanceId]))
  if (kvServer !== undefined && !known.includes(kvServer)) {
    return failed(
      `lmcache_instance is ${kvServer}, but no LMCache server has this id (known: ${known.join(', ') || 'none'})`,
      "set lmcache_instance to the server's --instance-id",
    )
  }
  const sequence = await facts.sequence('own')
  const holders = sequence === undefined ? [] : await client.holders(sequence, facts.signal)
  const seen = [...new Set(holders.filter(({ tier }) => tier === 'l1').map(({ instanceId }) => instanceId))]
  if (seen.length === 1) facts.seenServer = seen[0]
  if (seen.length === 0) return unseen(kvServer, topology)
  if (kvServer === undefined) {
    const where = `its KV is at ${seen.join(', ')}`
    if (known.length < 2) return ok(where)
    return warning(
      `${where}; lmcache_instance is not set`,
      'set lmcache_instance of each engine in upstream to the server that this line shows',
    )
  }
  if (seen.includes(kvServer)) return ok(`its KV is at ${kvServer}, as lmcache_instance says`)
  return failed(
    `its KV is at ${seen.join(', ')}; lmcache_instance says ${kvServer}`,
    'correct lmcache_instance in upstream, or lmcache.mp.host and lmcache.mp.port of vLLM',
  )
}

function unseen(kvServer: string | undefined, { servers }: LmcacheTopology): Finding {
  if (servers.length < 2) return skipped('no server has shown its KV in memory')
  if (kvServer !== undefined) return skipped(`lmcache_instance is ${kvServer}; no server has shown its KV in memory`)
  return warning(
    'no server has shown its KV in memory, and lmcache_instance is not set',
    'set lmcache_instance of each engine in upstream, and start lmcache server with --coordinator-event-reporting',
  )
}

/** The form in which the engine stores KV, as far as it is visible; undefined if nothing is. */
async function formOf(facts: Facts): Promise<{ readonly form: string; readonly block: string } | undefined> {
  const bytes = await chunkBytes(facts).catch(() => undefined)
  const type = await facts.cacheSetting('cache_dtype')
  if (type === undefined && bytes === undefined) return undefined
  const parts = [
    ...(type === undefined ? [] : [`KV cache type ${type}`]),
    ...(bytes === undefined ? [] : [`${(bytes / BYTES_PER_MIB).toFixed(2)} MiB per chunk`]),
  ]
  return { form: parts.join(', '), block: `blocks of ${(await facts.cacheSetting('block_size')) ?? 'unknown size'}` }
}

/** Bytes of one chunk's key in memory; undefined if no server shows it. */
async function chunkBytes(facts: Facts): Promise<number | undefined> {
  const [link, sequence] = [await facts.link(), await facts.sequence('own')]
  if (link === undefined || sequence === undefined) return undefined
  const holders = await link.client.holders(sequence, facts.signal)
  const sizes = holders
    .filter(({ tier, sizeBytes }) => tier === 'l1' && sizeBytes > 0)
    .map(({ sizeBytes }) => sizeBytes)
  return sizes.length === 0 ? undefined : Math.max(...sizes)
}

interface Load {
  readonly from: string
  readonly to: string
  readonly cached: number
  /** Tokens in whole chunks. */
  readonly stored: number
  /** Tokens cached under a salt that was never used. */
  readonly underFreshSalt: number
}

/** Sends the prompts of other engines to this one, which has not seen their salts. */
async function loadsAt(reader: Facts, able: readonly Facts[]): Promise<readonly Load[]> {
  const everyPair = able.length <= MAX_FOR_ALL_PAIRS
  const writers = able.filter((one) => one !== reader && (everyPair || one === able[0] || reader === able[0]))
  const loads: Load[] = []
  for (const writer of writers) {
    const { chunks, chunkSize } = await writer.probe()
    const cached = (await writer.probeAgain('own', reader)) ?? 0
    // Once per reader is enough.
    const underFreshSalt = loads.length === 0 ? ((await reader.probeUnderFreshSalt(writer)) ?? 0) : 0
    loads.push({ from: writer.engine.name, to: reader.engine.name, cached, stored: chunks * chunkSize, underFreshSalt })
  }
  return loads
}

function judgeLoads(loads: readonly Load[], engines: number, unanswered: string): Finding {
  const leaks = loads.filter(({ underFreshSalt }) => underFreshSalt > 0)
  if (leaks.length > 0) {
    return failed(
      `${leaks.map(({ to, underFreshSalt }) => `${to} had ${underFreshSalt} tokens cached under a salt that was never used`).join('; ')}: UNSAFE`,
      'use the multiprocess connector (LMCacheMPConnector) on every engine',
    )
  }
  const lacking = loads.filter(({ cached, stored }) => cached < stored)
  if (lacking.length === 0) {
    const [one] = loads
    return ok(
      `each of ${engines} engines loaded what others stored (${one?.cached} tokens), and nothing under an unused salt${unanswered}`,
    )
  }
  return failed(
    `${lacking.map(({ from, to, cached, stored }) => `${to} loaded ${cached} of ${stored} tokens that ${from} stored`).join('; ')}${unanswered}: a session that moves there is cold`,
    `give every lmcache server the same L2, for example one Redis: --l2-adapter '{"type":"resp","host":"…","port":6379,"shared":true}'; model path, data type, --chunk-size and --hash-algorithm must be equal, and so must the version of LMCache`,
  )
}
