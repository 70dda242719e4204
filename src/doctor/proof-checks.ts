// Live proofs on LMCache: the probe's KV is stored, is found under its own salt only, is restored, and can be pinned and deleted.

import { setTimeout as after } from 'node:timers/promises'
import type { LmcacheConnection } from '../kv/lmcache/connector.ts'
import type { Sequence } from '../kv/lmcache/sequence.ts'
import type { LmcacheTopology } from '../kv/lmcache/topology.ts'
import type { Check } from './check.ts'
import { chunkingMismatches, type Facts } from './facts.ts'
import { type Finding, failed, ok, skipped, warning } from './finding.ts'

const POLL_MS = 200

export const storedChecks: readonly Check[] = [
  onSequence('stored', "The engine's KV reaches LMCache", 'newly computed KV appears in every tier', isStored),
]

/** Run once chunks are stored. */
export const proofChecks: readonly Check[] = [
  onSequence(
    'salt-tiers',
    'LMCache keeps salts apart',
    "the probe's chunks are found under its own salt, and none under an unused one",
    areSaltsApart,
  ),
  onSequence(
    'restored',
    'KV is restored',
    "after a reset of the engine's cache, LMCache restores the chunks for the same salt only",
    isRestored,
  ),
  onSequence('pins', 'Pinning works', 'a pin is counted, and can be released', arePinsCounted),
]

/** Run last, because it deletes what all checks have stored. */
export const deleteChecks: readonly Check[] = [
  {
    ...onSequence(
      'delete',
      'Deleting works',
      "the probe's own chunks are gone from every server and adapter",
      isDeleted,
    ),
    cleansUp: true,
  },
]

function onSequence(
  id: string,
  title: string,
  proves: string,
  find: (link: LmcacheConnection, sequence: Sequence, facts: Facts) => Promise<Finding>,
): Check {
  return {
    id,
    scope: 'each',
    title,
    proves,
    run: async (facts) => {
      const link = await facts.link()
      if (link === undefined) return skipped('LMCache is not configured')
      if (chunkingMismatches(link.topology).length > 0)
        return skipped('coordinator and servers cut chunks differently, so their names are unknown')
      const sequence = await facts.sequence('own')
      if (sequence === undefined)
        return skipped('the engine is not attached to LMCache, so the names of its chunks are unknown')
      const { chunks, tokens, chunkSize } = await facts.probe()
      if (chunks === 0) return skipped(`the model's limit allows ${tokens} tokens, less than a chunk of ${chunkSize}`)
      return await find(link, sequence, facts)
    },
  }
}

async function isStored({ client, topology }: LmcacheConnection, sequence: Sequence, facts: Facts): Promise<Finding> {
  const started = performance.now()
  const behind = hasTierBehind(topology)
  for (;;) {
    const { counts } = await client.lookup(sequence, facts.signal)
    const { total, l1, l2, backends } = counts
    const waited = performance.now() - started
    const seen = `of ${total} chunks: memory ${l1 ?? '?'}, behind it ${l2 ?? '?'}${Object.entries(backends)
      .map(([name, n]) => `, ${name} ${n}`)
      .join('')}`
    if (((behind ? l2 : l1) ?? 0) >= total) return ok(`${seen}, ${(waited / 1_000).toFixed(1)} s after the call`)
    if (waited < facts.parts.settleTimeoutMs) {
      await after(POLL_MS, undefined, { signal: facts.signal })
      continue
    }
    const { foundKeys, totalKeys } = (await facts.prefetch('own')) ?? { foundKeys: null, totalKeys: null }
    if ((foundKeys ?? 0) > 0) {
      return failed(
        `the directory shows ${seen}, but LMCache itself finds ${foundKeys} of ${totalKeys} keys`,
        'start lmcache server with --coordinator-event-reporting and --no-separate-object-groups, and the coordinator with the same --chunk-size',
      )
    }
    return failed(
      `${seen}, and LMCache itself finds none: the engine stores nothing`,
      "look for errors of the connector in vLLM's log; on CPU, only LMCacheMPConnector stores KV",
    )
  }
}

async function areSaltsApart(_: LmcacheConnection, __: Sequence, facts: Facts): Promise<Finding> {
  const [own, unused] = [await facts.prefetch('own'), await facts.prefetch('unused')]
  const seen = `prefetch under its salt: ${keysFound(own)}; under an unused one: ${keysFound(unused)}`
  if ((unused?.foundKeys ?? 0) > 0) {
    return failed(
      `${seen}: UNSAFE, LMCache finds KV without its salt`,
      'use LMCache 0.5.6 or later with the multiprocess connector',
    )
  }
  if (own?.status !== 'completed' || unused?.status !== 'completed') {
    return warning(`${seen}; LMCache did not answer in time`, 'run cwm doctor again when LMCache is less busy')
  }
  if ((own.foundKeys ?? 0) === 0) return skipped(`${seen}: nothing was stored, so this proves nothing`)
  return ok(seen)
}

async function isRestored(_: LmcacheConnection, __: Sequence, facts: Facts): Promise<Finding> {
  if (!facts.parts.resetEngineCache) {
    return skipped(
      "this would reset the engine's own cache, which affects all its users: allow it with --reset-engine-cache",
    )
  }
  const { status } = await facts.ask('POST', '/reset_prefix_cache')
  if (status !== 200) {
    return skipped(
      `the engine does not accept POST /reset_prefix_cache (${status}): it requires VLLM_SERVER_DEV_MODE=1`,
    )
  }
  const { chunks, chunkSize, tokens, second } = await facts.probe()
  if (second === undefined) return skipped('the engine does not report cached tokens, so what was restored is unknown')
  const [own, unused] = [await facts.probeAgain('own'), await facts.probeAgain('unused')]
  const seen = `after a reset of the engine's cache ${own ?? '?'} of ${tokens} tokens cached under the salt (${chunks} chunks of ${chunkSize}), ${unused ?? '?'} under an unused one`
  if ((unused ?? 0) > 0)
    return failed(`${seen}: UNSAFE, KV is shared between salts`, 'use the multiprocess connector (LMCacheMPConnector)')
  if ((own ?? 0) < chunks * chunkSize)
    return failed(seen, 'check the logs of vLLM and LMCache: the chunks exist but were not loaded')
  return ok(seen)
}

async function arePinsCounted({ client }: LmcacheConnection, sequence: Sequence, { signal }: Facts): Promise<Finding> {
  if (!client.pins)
    return failed('pinning requires a coordinator', 'set --coordinator on cwm to the URL of lmcache coordinator')
  await client.pin(sequence, signal)
  const held = await client.listPins({ salt: sequence.salt, keys: sequence.keys }, { signal })
  await client.unpin(sequence, signal)
  const left = await client.listPins({ salt: sequence.salt, keys: sequence.keys }, { signal })
  const seen = `${held.size} chunks pinned, ${left.size} after release`
  return held.size > 0 && left.size === 0
    ? ok(seen)
    : failed(seen, "check that the coordinator's --metadata-path is writable")
}

/** Also cleans up what the doctor has stored. */
async function isDeleted(link: LmcacheConnection, sequence: Sequence, facts: Facts): Promise<Finding> {
  const { client } = link
  await waitForExtraSequences(link, facts)
  const others = await Promise.all([facts.sequence('other'), facts.sequence('unused')])
  const stored = [sequence, ...others.filter((one) => one !== undefined), ...facts.extraSequences]
  const sequences = stored.map((one) => ({ sequence: one, from: 0 }))
  const options = { deadlineMs: facts.parts.settleTimeoutMs, signal: facts.signal }
  const { deletedChunks, residualChunks, warnings } = await client.deleteChunks({ sequences }, options)
  const seen = [`${deletedChunks} chunks deleted, ${residualChunks ?? 'an unknown number'} left`, ...warnings].join(
    '; ',
  )
  if (residualChunks === 0) return ok(seen)
  return (residualChunks ?? 0) > 0
    ? failed(
        seen,
        'an adapter did not delete, or did not answer: check its log; what is left belongs to the doctor only',
      )
    : warning(seen, 'check that every lmcache server answers')
}

/** A deletion names chunks by the directory, which learns of them later than they are stored. */
async function waitForExtraSequences({ client, topology }: LmcacheConnection, facts: Facts): Promise<void> {
  const tier = hasTierBehind(topology) ? 'l2' : 'l1'
  const until = performance.now() + facts.parts.settleTimeoutMs
  let waiting = facts.extraSequences
  while (topology.directory && waiting.length > 0) {
    const counts = await Promise.all(waiting.map(async (extra) => (await client.lookup(extra, facts.signal)).counts))
    waiting = waiting.filter((_, at) => (counts[at]?.[tier] ?? 0) < (counts[at]?.total ?? 0))
    if (performance.now() > until) return
    if (waiting.length > 0) await after(POLL_MS, undefined, { signal: facts.signal })
  }
}

const hasTierBehind = ({ servers }: LmcacheTopology): boolean =>
  servers.some(({ backends }) => (backends?.length ?? 0) > 0)

function keysFound(
  result: { readonly foundKeys: number | null; readonly totalKeys: number | null } | undefined,
): string {
  return result === undefined ? 'unknown' : `${result.foundKeys ?? '?'} of ${result.totalKeys ?? '?'} keys`
}
