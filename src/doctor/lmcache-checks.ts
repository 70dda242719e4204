// Checks of LMCache's setup: coordinator and servers, and what must be the same on both.

import type { LmcacheConnection } from '../kv/lmcache/connector.ts'
import type { LmcacheServer } from '../kv/lmcache/topology.ts'
import type { Check } from './check.ts'
import { chunkingMismatches, type Facts } from './facts.ts'
import { type Finding, failed, ok, skipped, warning } from './finding.ts'

/** Flags in remedies belong to `lmcache server` unless another process is named. */
export const lmcacheChecks: readonly Check[] = [
  withLink(
    'lmcache',
    'LMCache answers',
    'cwm reaches the coordinator and every server that it lists',
    ({ topology }) => {
      const { coordinatorUrl, servers } = topology
      const silent = servers.filter(({ reachable }) => !reachable)
      const strangers = servers.filter(({ registered }) => !registered)
      const seen = `coordinator ${coordinatorUrl ?? 'none'}; ${servers.length === 0 ? 'no servers' : servers.map(({ url, instanceId }) => `${instanceId ?? 'server'} ${url}`).join(', ')}`
      if (coordinatorUrl === undefined) {
        return failed(
          `${seen}: without it there are no pins and no directory`,
          'start lmcache coordinator, and set --coordinator-url on the servers and --coordinator on cwm',
        )
      }
      if (silent.length > 0) {
        return failed(
          `${seen}; not answering: ${named(silent)}`,
          'check that they are running, and that their --coordinator-advertise-ip and --http-port are reachable from here',
        )
      }
      if (servers.length === 0 || strangers.length > 0) {
        return failed(
          `${seen}; not registered: ${named(strangers) || 'all'}`,
          'start lmcache server with --coordinator-url',
        )
      }
      return ok(seen)
    },
  ),
  forEach(
    'attached',
    'The engine is attached',
    'LMCache knows the engine by the name in its keys',
    async ({ topology }, facts) => {
      const { engineName } = await facts.model()
      const engine = topology.engines.find((attached) => attached.engineName === engineName)
      if (engine !== undefined) return ok(`${engineName}, world size ${engine.worldSize}`)
      const others = topology.engines.map((attached) => attached.engineName).join(', ')
      return failed(
        `no LMCache server has ${engineName} attached${others === '' ? '' : ` (attached: ${others})`}: UNSAFE if vLLM uses the in-process LMCacheConnectorV1, which ignores salts`,
        'start vLLM with --kv-transfer-config for LMCacheMPConnector (kv_connector_module_path lmcache.integration.vllm.lmcache_mp_connector), with lmcache.mp.host and lmcache.mp.port of lmcache server; on CPU, LMCacheConnectorV1 stores nothing',
      )
    },
  ),
  withLink(
    'chunk-size',
    'Chunking is consistent',
    'coordinator and servers cut chunks alike and give them the same names',
    ({ topology }) => {
      const { chunkSize, hashAlgorithm, servers } = topology
      const said = chunkingMismatches(topology)
      const seen = servers.map(
        ({ instanceId, url, chunkSize: size, hashAlgorithm: hash }) =>
          `${instanceId ?? url}: ${size ?? '?'} tokens, ${hash ?? '?'}`,
      )
      if (said.length > 0) {
        return failed(
          `${seen.join('; ')}; ${said.join('; ')}`,
          'set the same --chunk-size and --hash-algorithm on lmcache coordinator and every lmcache server, and restart those that differed',
        )
      }
      if (chunkSize === null)
        return warning('no server reports its chunk size', 'check that GET /status of lmcache server answers')
      return ok(
        `${chunkSize} tokens, ${hashAlgorithm ?? 'hash unknown'}, on ${servers.length} of ${servers.length} servers and the coordinator`,
      )
    },
  ),
  withLink(
    'event-reporting',
    'Servers report their chunks',
    'the directory shows what is stored and what was evicted',
    ({ topology }) => {
      const mute = topology.servers.filter(({ eventReporting }) => eventReporting === false)
      if (mute.length > 0) {
        return failed(
          `${named(mute)} does not report`,
          'start lmcache server with --coordinator-event-reporting (and --coordinator-url)',
        )
      }
      if (!topology.directory)
        return failed(
          'there is no directory',
          'start lmcache server with --coordinator-url and --coordinator-event-reporting',
        )
      return ok(`${topology.servers.length} of ${topology.servers.length} servers report`)
    },
  ),
  withLink('object-groups', 'Object groups are joined', 'one key names a whole chunk', ({ topology }) => {
    const apart = topology.servers.filter(({ separateObjectGroups }) => separateObjectGroups === true)
    if (apart.length > 0)
      return failed(`${named(apart)} separates them`, 'start lmcache server with --no-separate-object-groups')
    if (topology.servers.every(({ separateObjectGroups }) => separateObjectGroups === null))
      return skipped('no server reports this')
    return ok('joined on every server')
  }),
  withLink(
    'adapters',
    'LMCache has a tier behind memory',
    'chunks survive a restart of LMCache',
    async ({ topology }, facts) => {
      const bare = topology.servers.filter(({ backends }) => backends?.length === 0)
      if (bare.length > 0) {
        return warning(
          `${named(bare)} has no L2 adapter: its chunks are lost when it stops`,
          `start lmcache server with --l2-adapter, for example '{"type":"fs","base_path":"/var/lib/lmcache"}'`,
        )
      }
      const seen = topology.servers.map(
        ({ instanceId, url, backends }) => `${instanceId ?? url}: ${backends?.join(', ') ?? 'unknown'}`,
      )
      const told = await Promise.all(addressesOf(topology.servers).map((address) => redisAt(address, facts)))
      const evidence = [...seen, ...told.map(({ words }) => words)].join('; ')
      if (!told.some(({ evicts }) => evicts)) return ok(evidence)
      return warning(
        evidence,
        'pins do not prevent evictions by Redis: increase maxmemory, or set maxmemory-policy noeviction, so that writes fail and LMCache continues without them',
      )
    },
  ),
  withLink(
    'quotas',
    'Salts have a storage quota',
    'with IsolatedLRU eviction, cwm can set the quota of a salt',
    async ({ client, topology }, facts) => {
      if (!client.requiresQuotas) {
        const known = topology.servers.some(({ isolatedLru }) => isolatedLru !== null)
        return skipped(known ? 'no adapter uses IsolatedLRU' : 'no server reports how its adapters evict')
      }
      const set = await client.setQuota(facts.salts.unused, 1, facts.signal)
      const taken = await client.removeQuota(facts.salts.unused, facts.signal)
      if (set.complete && taken.complete) return ok('IsolatedLRU: a quota was set for a salt and removed again')
      return failed(
        [...set.failures, ...taken.failures].join('; '),
        'check that every lmcache server answers PUT /quota; until then nothing stays stored behind memory',
      )
    },
  ),
]

/** As `withLink`, for each engine. */
function forEach(...args: Parameters<typeof withLink>): Check {
  return { ...withLink(...args), scope: 'each' }
}

function withLink(
  id: string,
  title: string,
  proves: string,
  find: (link: LmcacheConnection, facts: Facts) => Promise<Finding> | Finding,
): Check {
  return {
    id,
    title,
    proves,
    run: async (facts) => {
      const link = await facts.link()
      if (link === undefined)
        return skipped("LMCache is not configured (--coordinator, --lmcache): KV exists in the engine's own cache only")
      return await find(link, facts)
    },
  }
}

const named = (servers: readonly LmcacheServer[]) => servers.map(({ instanceId, url }) => instanceId ?? url).join(', ')

/** The L2 addresses of the servers. A loopback address reported by a server refers to that server's machine. */
function addressesOf(servers: readonly LmcacheServer[]): string[] {
  const seen = servers.flatMap(({ url, adapterAddresses }) =>
    adapterAddresses.map((address) => address.replace(/^(127\.0\.0\.1|localhost):/, `${new URL(url).hostname}:`)),
  )
  return [...new Set(seen)]
}

async function redisAt(
  address: string,
  { parts }: Facts,
): Promise<{ readonly words: string; readonly evicts: boolean }> {
  const memory = await parts.redisMemory(address)
  if ('unknown' in memory)
    return { words: `Redis ${address}: eviction policy unknown (${memory.unknown})`, evicts: false }
  const { limit, policy } = memory
  if (limit === 0) return { words: `Redis ${address}: no maxmemory`, evicts: false }
  const evicts = policy !== 'noeviction'
  const size = `Redis ${address}: maxmemory ${Math.round(limit / 2 ** 20)} MiB, ${policy}`
  return { words: evicts ? `${size}: it may evict, including pinned chunks` : size, evicts }
}
