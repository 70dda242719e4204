// Remembers which LMCache servers exist, and which of them answer now. A coordinator forgets dead servers
// (docs/engine-behavior.md#dead-servers), so without this memory a fleet that lost a member would look healthy.

import type { Now } from '../../base/clock.ts'
import { CwmError } from '../../base/errors.ts'
import type { KvServerHealth } from '../kv.ts'
import { Endpoint, type Fetch } from './http.ts'
import { instancesSchema, statusSchema } from './schemas.ts'
import { answerOrFailure } from './server-facts.ts'
import type { LmcacheServer, LmcacheTopology } from './topology.ts'

export interface KnownServersOptions {
  readonly timeoutMs: number
  readonly now: Now
  readonly fetch?: Fetch
}

/** How long a silent server that is no longer listed is remembered: it may have died, or was removed on purpose. */
const REMEMBERED_MS = 600_000
const MAX_REMEMBERED = 256

interface Known {
  readonly server: Pick<LmcacheServer, 'instanceId' | 'url'>
  ok: boolean
  /** When it was last listed or answered, milliseconds. */
  seenAt: number
}

export class KnownServers {
  readonly #options: KnownServersOptions
  /** By URL. Bounded; the unlisted servers seen longest ago are dropped first. */
  readonly #known = new Map<string, Known>()

  constructor(options: KnownServersOptions) {
    this.#options = options
  }

  /** Probes all known servers. True if an answer, or the coordinator's list, contradicts the topology. Never throws. */
  async differFrom(topology: LmcacheTopology): Promise<boolean> {
    this.#learn(topology)
    const { coordinatorUrl } = topology
    const [listed] = await Promise.all([
      coordinatorUrl === undefined ? undefined : this.#listed(coordinatorUrl),
      this.probeAll(),
    ])
    const registered = topology.servers.filter(({ registered }) => registered).map(({ instanceId }) => instanceId)
    const sameList = coordinatorUrl === undefined || (listed !== undefined && sameNames(registered, listed))
    return !sameList || topology.servers.some(({ url, reachable }) => this.#known.get(url)?.ok !== reachable)
  }

  /** Probes each known server. Never throws. */
  async probeAll(): Promise<void> {
    const { now } = this.#options
    await Promise.all(
      [...this.#known.values()].map(async (one) => {
        one.ok = await this.#isUp(one.server.url)
        if (one.ok) one.seenAt = now()
      }),
    )
  }

  /** The health of each known server, after a discovery. */
  healthOf(topology: LmcacheTopology): KvServerHealth[] {
    this.#learn(topology)
    return this.health()
  }

  /** The health of each known server. */
  health(): KvServerHealth[] {
    const health = [...this.#known.values()].map(({ server: { instanceId, url }, ok }) => ({
      ...(instanceId === undefined ? {} : { instance_id: instanceId }),
      url,
      ok,
    }))
    const nameOf = ({ instance_id, url }: KvServerHealth) => instance_id ?? url
    return health.sort((one, other) => nameOf(one).localeCompare(nameOf(other)))
  }

  #learn({ servers }: LmcacheTopology): void {
    const now = this.#options.now()
    for (const { instanceId, url, reachable } of servers) {
      const ok = this.#known.get(url)?.ok ?? reachable
      this.#known.delete(url)
      this.#known.set(url, { server: { ...(instanceId === undefined ? {} : { instanceId }), url }, ok, seenAt: now })
    }
    for (const [url, { server, seenAt }] of this.#known) {
      const isListed = servers.some((one) => one.url === url)
      // It returned under another URL.
      const moved = servers.some(({ instanceId }) => instanceId !== undefined && instanceId === server.instanceId)
      const isOld = now - seenAt > REMEMBERED_MS || this.#known.size > MAX_REMEMBERED
      if (!isListed && (moved || isOld)) this.#known.delete(url)
    }
  }

  async #isUp(url: string): Promise<boolean> {
    const answer = await answerOrFailure(
      this.#endpoint(url).call({ method: 'GET', path: '/status', schema: statusSchema }),
    )
    // Any other error is an answer; discovery reports what is wrong with it.
    return !(answer instanceof CwmError) || answer.code !== 'LMCACHE_UNREACHABLE'
  }

  async #listed(url: string): Promise<readonly string[] | undefined> {
    const call = { method: 'GET', path: '/instances', schema: instancesSchema } as const
    const answer = await answerOrFailure(this.#endpoint(url).call(call))
    return answer instanceof CwmError ? undefined : answer.instances.map(({ instance_id }) => instance_id)
  }

  #endpoint(url: string): Endpoint {
    const { timeoutMs, fetch } = this.#options
    return new Endpoint(url, timeoutMs, fetch)
  }
}

function sameNames(some: readonly (string | undefined)[], others: readonly string[]): boolean {
  return some.length === others.length && others.every((name) => some.includes(name))
}
