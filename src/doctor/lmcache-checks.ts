// LMCache as it is set up: coordinator and servers, and what must be the same on both.

import type { Link } from '../kv/lmcache/connector.ts'
import type { LmcacheServer } from '../kv/lmcache/topology.ts'
import type { Check } from './check.ts'
import { chunkingMismatches, type Facts } from './facts.ts'
import { type Finding, failed, ok, skipped, warning } from './finding.ts'

/** Flags of `lmcache server` unless said otherwise. */
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
          `${seen}: no pins and no directory`,
          'start lmcache coordinator, give servers its --coordinator-url, and cwm --coordinator',
        )
      }
      if (silent.length > 0) {
        return failed(
          `${seen}; silent: ${named(silent)}`,
          'see that they run, and that their --coordinator-advertise-ip and --http-port are reached from here',
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
  withLink(
    'attached',
    'The engine is attached',
    'LMCache knows the engine by the name that its keys hold',
    async ({ topology }, facts) => {
      const { engineName } = await facts.model()
      const engine = topology.engines.find((attached) => attached.engineName === engineName)
      if (engine !== undefined) return ok(`${engineName}, world size ${engine.worldSize}`)
      const others = topology.engines.map((attached) => attached.engineName).join(', ')
      return failed(
        `no LMCache server has ${engineName} attached${others === '' ? '' : ` (there is ${others})`}: UNSAFE if vLLM uses the in-process LMCacheConnectorV1, which ignores salts`,
        'start vLLM with --kv-transfer-config for LMCacheMPConnector (kv_connector_module_path lmcache.integration.vllm.lmcache_mp_connector), its lmcache.mp.host and lmcache.mp.port those of lmcache server; on CPU LMCacheConnectorV1 stores nothing',
      )
    },
  ),
  withLink(
    'chunk-size',
    'Chunks are cut alike',
    'coordinator and servers give the same chunks the same names',
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
          'give lmcache coordinator and every lmcache server the same --chunk-size and --hash-algorithm, and restart what differed',
        )
      }
      if (chunkSize === null)
        return warning('no server tells its chunk size', 'see that GET /status of lmcache server answers')
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
  withLink('object-groups', 'Object groups are joined', 'one key names all of a chunk', ({ topology }) => {
    const apart = topology.servers.filter(({ separateObjectGroups }) => separateObjectGroups === true)
    if (apart.length > 0)
      return failed(`${named(apart)} keeps them apart`, 'start lmcache server with --no-separate-object-groups')
    if (topology.servers.every(({ separateObjectGroups }) => separateObjectGroups === null))
      return skipped('no server tells')
    return ok('joined on every server')
  }),
  withLink(
    'adapters',
    'There is something behind memory',
    'chunks outlive a restart of LMCache',
    async ({ topology }, facts) => {
      const bare = topology.servers.filter(({ backends }) => backends?.length === 0)
      if (bare.length > 0) {
        return warning(
          `${named(bare)} has no L2 adapter: its chunks end with its memory`,
          `start lmcache server with --l2-adapter, e.g. '{"type":"fs","base_path":"/var/lib/lmcache"}'`,
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
        'pins do not stop a Redis: give it room enough (maxmemory), or maxmemory-policy noeviction so that LMCache is refused and goes on without it',
      )
    },
  ),
  withLink(
    'quotas',
    'Salts may keep what they store',
    'where IsolatedLRU rules, cwm can give a salt its quota',
    async ({ client, topology }, facts) => {
      if (!client.demandsQuotas) {
        const known = topology.servers.some(({ isolatedLru }) => isolatedLru !== null)
        return skipped(known ? 'no adapter evicts by IsolatedLRU' : 'no server tells how its adapters evict')
      }
      const set = await client.setQuota(facts.salts.unused, 1, facts.signal)
      const taken = await client.removeQuota(facts.salts.unused, facts.signal)
      if (set.complete && taken.complete) return ok('IsolatedLRU: a quota was set for a salt and taken away')
      return failed(
        [...set.failures, ...taken.failures].join('; '),
        'see that every lmcache server answers PUT /quota; until then nothing of a salt stays behind memory',
      )
    },
  ),
]

function withLink(
  id: string,
  title: string,
  proves: string,
  find: (link: Link, facts: Facts) => Promise<Finding> | Finding,
): Check {
  return {
    id,
    title,
    proves,
    run: async (facts) => {
      const link = await facts.link()
      if (link === undefined)
        return skipped("no LMCache is configured (--coordinator, --lmcache): KV lives in the engine's own cache only")
      return await find(link, facts)
    },
  }
}

const named = (servers: readonly LmcacheServer[]) => servers.map(({ instanceId, url }) => instanceId ?? url).join(', ')

/** A server on another machine means its own loopback, which is not ours. */
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
    return { words: `Redis ${address}: whether it evicts is not known (${memory.unknown})`, evicts: false }
  const { limit, policy } = memory
  if (limit === 0) return { words: `Redis ${address}: no maxmemory`, evicts: false }
  const evicts = policy !== 'noeviction'
  const size = `Redis ${address}: maxmemory ${Math.round(limit / 2 ** 20)} MiB, ${policy}`
  return { words: evicts ? `${size}: it evicts, pinned chunks too` : size, evicts }
}
