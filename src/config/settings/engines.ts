// Settings: the engines or their router, and LMCache.

import { affinityKeys } from '../../tenants/affinity-key.ts'
import { affinity, count, flag, ms, oneOf, text, url } from '../fields.ts'
import { upstream } from '../upstreams.ts'

export const engineSettings = {
  upstream: upstream.describe(
    'Address of the engine (its OpenAI-compatible server), or of a router. Required. For several engines (docs/fleet.md): a comma-separated list of addresses; in the file, a list of addresses or `{url, weight, key, lmcache_instance, drain}`; or a DNS name, as `dns+http://NAME:PORT` (address records) or `dns+http://_SERVICE._PROTO.NAME` (SRV records). A reload changes lists and DNS names; a single address needs a restart',
  ),
  dns_interval_ms: count
    .default(10_000)
    .describe('How often cwm resolves the DNS name in upstream, milliseconds. A failed lookup changes nothing'),
  engine_health_interval_ms: count
    .default(5_000)
    .describe(
      'How often cwm checks the health of each engine, if there are several, milliseconds. After two failures in a row, the engine is down',
    ),
  engine_slow_start_ms: ms
    .default(30_000)
    .describe(
      'How long an engine that is new, or back after it was down, receives fewer new sessions, milliseconds. Its weight rises from a tenth to the full weight. 0 gives it the full weight at once',
    ),
  upstream_api_key: text()
    .optional()
    .describe(
      "API key for the engine, sent instead of the client's. Without it, cwm forwards the client's key, or no key if tenants are listed",
    ),
  affinity: affinity
    .default('none')
    .describe(
      'Router in front of the engines. cwm sends it a key for each session, in the header that the router reads: vllm-router, llm-d, dynamo, aibrix, or header:NAME for any other router that hashes a header. none sends no key (docs/fleet.md)',
    ),
  affinity_key: oneOf(affinityKeys)
    .default('lineage')
    .describe(
      'Which sessions share an affinity key, and so an engine. lineage: all sessions of a lineage, because they share the KV of a window. session: each session has its own key, so that many sessions of one window spread over several engines',
    ),
  coordinator: url
    .optional()
    .describe('Address of the LMCache coordinator. Default: the one that the LMCache server reports'),
  lmcache: url
    .optional()
    .describe('HTTP address of one LMCache server. Default: the servers that the coordinator lists'),
  l2_shared: flag
    .optional()
    .describe(
      'Whether all LMCache servers share one L2, so that every engine can load what another stored. By default, cwm detects this from `"shared": true` of the adapters and from the address of their Redis',
    ),
}
