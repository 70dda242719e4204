// Which L2 adapters all servers of a fleet share, so that chunks in them can be loaded wherever a session goes.
// See docs/engine-behavior.md#shared-l2.

import type { LmcacheServer, LmcacheTopology } from './topology.ts'

/** By adapter type: whether all servers use the same storage; null if that is unknown. */
export type SharedL2 = ReadonlyMap<string, boolean | null>

type Server = Pick<LmcacheServer, 'url' | 'reachable' | 'adapters'>

/** What is detected for each adapter type; `override` is the operator's word, which replaces it. A single server shares with nobody: null. */
export function sharedL2Of(servers: readonly Server[], override: boolean | null): SharedL2 {
  const known = servers.filter(({ adapters }) => adapters !== null)
  const types = new Set(known.flatMap(({ adapters }) => (adapters ?? []).map(({ type }) => type)))
  return new Map(
    [...types].map((type) => [type, override ?? (servers.length < 2 ? null : detect(known, servers, type))]),
  )
}

function detect(known: readonly Server[], servers: readonly Server[], type: string): boolean | null {
  const mounts = known.map(({ url, adapters }) => ({ url, adapter: adapters?.find((one) => one.type === type) }))
  if (mounts.some(({ adapter }) => adapter === undefined)) return false
  if (mounts.every(({ adapter }) => adapter?.shared === true)) return true
  const addresses = new Set(mounts.map(({ url, adapter }) => addressFor(url, adapter?.address)))
  if (addresses.has(undefined)) return null
  if (addresses.size > 1) return false
  return known.length === servers.length ? true : null
}

/** An address as seen from everywhere: a server's loopback is its own host. */
function addressFor(serverUrl: string, address: string | undefined): string | undefined {
  return address?.replace(/^(127\.0\.0\.1|localhost|\[?::1\]?):/, `${new URL(serverUrl).hostname}:`)
}

/** What an operator should do about an instance id of the settings that no server has. */
export function unknownServer(id: string, { servers }: Pick<LmcacheTopology, 'servers'>): string {
  const ids = servers.flatMap(({ instanceId }) => instanceId ?? [])
  const known = ids.length === 0 ? 'none is known' : `known are ${ids.join(', ')}`
  return `no LMCache server has the instance id ${id}: check lmcache_instance in the setting upstream (${known})`
}
