// Live proofs on LMCache: that the probe's KV was stored, is found under its own salt only, comes back, can be pinned and deleted.

import { setTimeout as after } from 'node:timers/promises'
import type { Link } from '../kv/lmcache/connector.ts'
import type { Sequence } from '../kv/lmcache/sequence.ts'
import type { Check } from './check.ts'
import { chunkingMismatches, type Facts } from './facts.ts'
import { type Finding, failed, ok, skipped, warning } from './finding.ts'

const POLL_MS = 200

export const proofChecks: readonly Check[] = [
  onSequence('stored', "The engine's KV reaches LMCache", 'what was just computed is seen in every tier', isStored),
  onSequence(
    'salt-tiers',
    'LMCache keeps salts apart',
    "the probe's chunks are found under its salt, and none under one that was never used",
    areSaltsApart,
  ),
  onSequence(
    'restored',
    'KV comes back',
    'after the engine forgot, LMCache gives the chunks back to the same salt only',
    isRestored,
  ),
  onSequence('pins', 'Pins are taken', 'a pin is counted, and given back', arePinsCounted),
  onSequence('delete', 'A delete deletes', "the probe's own chunks are gone from every server and adapter", isDeleted),
]

function onSequence(
  id: string,
  title: string,
  proves: string,
  find: (link: Link, sequence: Sequence, facts: Facts) => Promise<Finding>,
): Check {
  return {
    id,
    title,
    proves,
    run: async (facts) => {
      const link = await facts.link()
      if (link === undefined) return skipped('no LMCache is configured')
      if (chunkingMismatches(link.topology).length > 0)
        return skipped('coordinator and servers cut chunks differently, so nobody can name them')
      const sequence = await facts.sequence('own')
      if (sequence === undefined) return skipped('the engine is not attached to LMCache, so nobody can name its chunks')
      const { chunks, tokens, chunkSize } = await facts.probe()
      if (chunks === 0) return skipped(`the model's limit holds ${tokens} tokens, less than a chunk of ${chunkSize}`)
      return await find(link, sequence, facts)
    },
  }
}

async function isStored({ client, topology }: Link, sequence: Sequence, facts: Facts): Promise<Finding> {
  const started = performance.now()
  const behind = topology.servers.some(({ backends }) => (backends?.length ?? 0) > 0)
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
        `the directory shows ${seen}, though LMCache itself finds ${foundKeys} of ${totalKeys} keys`,
        'start lmcache server with --coordinator-event-reporting and --no-separate-object-groups, and the coordinator with the same --chunk-size',
      )
    }
    return failed(
      `${seen}, and LMCache finds none itself: the engine stores nothing`,
      "look for the connector's complaint in vLLM's log; on CPU only LMCacheMPConnector stores",
    )
  }
}

async function areSaltsApart(_: Link, __: Sequence, facts: Facts): Promise<Finding> {
  const [own, unused] = [await facts.prefetch('own'), await facts.prefetch('unused')]
  const seen = `prefetch under its salt: ${keysFound(own)}; under one never used: ${keysFound(unused)}`
  if ((unused?.foundKeys ?? 0) > 0) {
    return failed(
      `${seen}: UNSAFE, LMCache finds KV without its salt`,
      'use LMCache 0.5.6 or later with the multiprocess connector',
    )
  }
  if (own?.status !== 'completed' || unused?.status !== 'completed') {
    return warning(`${seen}; LMCache did not answer in time`, 'ask again when LMCache is less busy')
  }
  if ((own.foundKeys ?? 0) === 0) return skipped(`${seen}: with nothing stored, nothing is proved`)
  return ok(seen)
}

async function isRestored(_: Link, __: Sequence, facts: Facts): Promise<Finding> {
  if (!facts.parts.resetEngineCache) {
    return skipped("it would empty the engine's own cache, everybody's: allow it with --reset-engine-cache")
  }
  const { status } = await facts.parts.ask('POST', '/reset_prefix_cache', facts.signal)
  if (status !== 200) {
    return skipped(
      `the engine does not take POST /reset_prefix_cache (${status}): it is there with VLLM_SERVER_DEV_MODE=1 only`,
    )
  }
  const { chunks, chunkSize, tokens, second } = await facts.probe()
  if (second === undefined)
    return skipped('the engine does not report cached tokens, so nobody can tell what came back')
  const [own, unused] = [await facts.probeAgain('own'), await facts.probeAgain('unused')]
  const seen = `after a reset of the engine's cache ${own ?? '?'} of ${tokens} tokens cached under the salt (${chunks} chunks of ${chunkSize}), ${unused ?? '?'} under one never used`
  if ((unused ?? 0) > 0)
    return failed(
      `${seen}: UNSAFE, KV crosses from one salt to another`,
      'use the multiprocess connector (LMCacheMPConnector)',
    )
  if ((own ?? 0) < chunks * chunkSize)
    return failed(seen, "see vLLM's and LMCache's logs: the chunks are there and were not loaded")
  return ok(seen)
}

async function arePinsCounted({ client }: Link, sequence: Sequence, { signal }: Facts): Promise<Finding> {
  if (!client.pins) return failed('nobody takes pins', 'give cwm --coordinator with the URL of lmcache coordinator')
  await client.pin(sequence, signal)
  const held = await client.listPins({ salt: sequence.salt, keys: sequence.keys }, { signal })
  await client.unpin(sequence, signal)
  const left = await client.listPins({ salt: sequence.salt, keys: sequence.keys }, { signal })
  const seen = `${held.size} chunks pinned, ${left.size} after they were given back`
  return held.size > 0 && left.size === 0
    ? ok(seen)
    : failed(seen, "see that the coordinator's --metadata-path can be written")
}

/** Also clears away what the doctor has stored. */
async function isDeleted({ client }: Link, sequence: Sequence, facts: Facts): Promise<Finding> {
  const others = await Promise.all([facts.sequence('other'), facts.sequence('unused')])
  const sequences = [sequence, ...others.filter((one) => one !== undefined)].map((one) => ({ sequence: one, from: 0 }))
  const options = { deadlineMs: facts.parts.settleTimeoutMs, signal: facts.signal }
  const { deletedChunks, residualChunks, warnings } = await client.deleteChunks({ sequences }, options)
  const seen = [
    `${deletedChunks} chunks deleted, ${residualChunks ?? 'nobody could tell how many'} left`,
    ...warnings,
  ].join('; ')
  if (residualChunks === 0) return ok(seen)
  return (residualChunks ?? 0) > 0
    ? failed(
        seen,
        'an adapter keeps what it is told to delete, or did not answer: see its log; what is left is the doctor’s own',
      )
    : warning(seen, 'see that every lmcache server answers')
}

function keysFound(
  result: { readonly foundKeys: number | null; readonly totalKeys: number | null } | undefined,
): string {
  return result === undefined ? 'nobody to ask' : `${result.foundKeys ?? '?'} of ${result.totalKeys ?? '?'} keys`
}
