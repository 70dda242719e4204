// The connection to LMCache for the life of the process: discovered on first use, and again when it has changed or was incomplete.

import type { Now } from '../../base/clock.ts'
import type { Logger } from '../../base/logger.ts'
import { SingleSlot } from '../../base/single-flight.ts'
import type { KvHealth } from '../kv.ts'
import { LmcacheClient } from './client.ts'
import { type DiscoverOptions, discoverLmcache } from './discover.ts'
import { KnownServers } from './known-servers.ts'
import type { ChunkKeys } from './sequence.ts'
import { unknownServer } from './shared-l2.ts'
import type { LmcacheTopology } from './topology.ts'

export interface LmcacheConnection {
  readonly client: LmcacheClient
  readonly topology: LmcacheTopology
  /** How LMCache names the chunks of an engine; undefined if no server has it attached, or chunk sizes are unknown. */
  keysOf(engineName: string): ChunkKeys | undefined
}

export interface LmcacheConnectorOptions extends Omit<DiscoverOptions, 'signal'> {
  /** The instance ids that the settings give to engines. Health warns of those that no server has. */
  readonly expectedServers?: () => readonly string[]
  readonly now: Now
  readonly log: Logger
}

/** How long a discovery stays fresh without warnings, and with some, milliseconds. */
const FRESH_MS = 60_000
const FRESH_WITH_WARNINGS_MS = 5_000

export class LmcacheConnector {
  readonly #options: LmcacheConnectorOptions
  #link: LmcacheConnection | undefined
  #discoveredAt = 0
  readonly #discoveries = new SingleSlot<LmcacheConnection>()
  #loggedWarnings = ''
  /** One entry per engine. */
  readonly #keyBytes = new Map<string, number>()
  readonly #servers: KnownServers

  constructor(options: LmcacheConnectorOptions) {
    this.#options = options
    this.#servers = new KnownServers(options)
  }

  /** False if neither URL was given: the engine runs without LMCache. */
  get configured(): boolean {
    return this.#options.coordinatorUrl !== undefined || this.#options.lmcacheUrl !== undefined
  }

  /** A coordinator is configured, so pins are expected even while it does not answer. */
  get expectsPins(): boolean {
    return this.#options.coordinatorUrl !== undefined
  }

  /** Connects to what answers now; undefined if nothing is configured. Throws `LMCACHE_UNREACHABLE` if nothing that was configured answers. */
  async open(): Promise<LmcacheConnection | undefined> {
    if (!this.configured) return undefined
    const age = this.#options.now() - this.#discoveredAt
    const fresh = this.#link?.topology.warnings.length === 0 ? FRESH_MS : FRESH_WITH_WARNINGS_MS
    if (this.#link !== undefined && age < fresh) return this.#link
    return await this.#discoveries.run(() => this.#discover())
  }

  /**
   * Probes the coordinator and each known server. Repeats the discovery if the result contradicts the last one, or if that had warnings, which
   * may no longer apply. Never throws.
   */
  async health(): Promise<KvHealth> {
    if (!this.configured) return { ok: null, pins: false, warnings: [], servers: [] }
    let link = await this.#openOrNot()
    const wasWhole = link?.topology.warnings.length === 0
    if (link !== undefined && ((await this.#servers.differFrom(link.topology)) || !wasWhole)) {
      this.invalidate()
      link = await this.#openOrNot()
    }
    if (link === undefined) return await this.#healthUnlinked()
    const { topology } = link
    const servers = this.#servers.healthOf(topology)
    const lost = servers.filter(({ ok }) => !ok)
    const unlisted = lost.filter(({ url }) => !topology.servers.some((server) => server.url === url))
    const expected = new Set(this.#options.expectedServers?.() ?? [])
    for (const { instance_id } of servers) if (instance_id !== undefined) expected.delete(instance_id)
    const warnings = [
      ...topology.warnings,
      ...[...expected].map((id) => unknownServer(id, topology)),
      ...unlisted.map(
        ({ instance_id, url }) => `LMCache server ${instance_id ?? url} is gone from the coordinator's list`,
      ),
    ]
    const url = topology.coordinatorUrl ?? this.#options.coordinatorUrl
    return {
      ok: warnings.length === 0 && lost.length === 0,
      pins: topology.pins,
      warnings,
      ...(url === undefined ? {} : { coordinator: { url, ok: topology.coordinatorUrl !== undefined } }),
      servers,
    }
  }

  /** Health when nothing could be discovered: the coordinator alone may be down while its servers are up. */
  async #healthUnlinked(): Promise<KvHealth> {
    await this.#servers.probeAll()
    const servers = this.#servers.health()
    const { coordinatorUrl: url } = this.#options
    const silent = url === undefined ? 'LMCache does not answer' : `LMCache's coordinator at ${url} does not answer`
    return {
      ok: false,
      pins: false,
      warnings: [silent],
      ...(url === undefined ? {} : { coordinator: { url, ok: false } }),
      servers,
    }
  }

  #openOrNot(): Promise<LmcacheConnection | undefined> {
    return this.open().catch(() => undefined)
  }

  /** Discards the last discovery after a failed call; the next `open` discovers again. */
  invalidate(): void {
    this.#discoveredAt = 0
  }

  async #discover(): Promise<LmcacheConnection> {
    const { now, log, expectedServers, ...discover } = this.#options
    const topology = {
      ...(await discoverLmcache(discover)),
      expectedServers: new Set(expectedServers?.()).size,
    }
    const client = new LmcacheClient({
      target: topology,
      timeoutMs: discover.timeoutMs,
      keyBytes: this.#keyBytes,
      ...(discover.fetch === undefined ? {} : { fetch: discover.fetch }),
    })
    const warnings = topology.warnings.join('; ')
    if (warnings !== this.#loggedWarnings && warnings !== '')
      log.warn({ warnings: topology.warnings }, 'LMCache is incomplete')
    this.#loggedWarnings = warnings
    this.#link = { client, topology, keysOf: (engineName) => keysOf(topology, engineName) }
    this.#discoveredAt = now()
    return this.#link
  }
}

function keysOf({ engines, chunkSize }: LmcacheTopology, engineName: string): ChunkKeys | undefined {
  const engine = engines.find((attached) => attached.engineName === engineName)
  if (engine === undefined || chunkSize === null) return undefined
  return { engineName, worldSize: engine.worldSize, chunkSize }
}
