// Discovers the LMCache fleet from either end: a coordinator lists its servers, a server names its coordinator.

import { CwmError } from '../../base/errors.ts'
import { askCoordinator, type ListedServer, probeChunkSize } from './coordinator-facts.ts'
import { Endpoint, type Fetch, parseBaseUrl } from './http.ts'
import { askServer, type ServerFacts, uniqueEngines } from './server-facts.ts'
import { sharedL2Of } from './shared-l2.ts'
import type { LmcacheServer, LmcacheTopology } from './topology.ts'

export interface DiscoverOptions {
  /** At least one of the two; each leads to the other. */
  readonly coordinatorUrl?: string | undefined
  /** One LMCache server's HTTP port. It replaces the address under which the coordinator lists that server. */
  readonly lmcacheUrl?: string | undefined
  /** Whether all servers share their L2, if an operator says so: the setting `l2_shared`. Absent: detected. */
  readonly l2Shared?: boolean | undefined
  /** Limit of each HTTP call, milliseconds. */
  readonly timeoutMs: number
  readonly signal?: AbortSignal | undefined
  /** Global `fetch` unless given. */
  readonly fetch?: Fetch
}

const serversAtOnce = 8

/**
 * Describes coordinator, servers and engines. What does not answer becomes a warning; a missing coordinator is valid (`pins: false`). Throws
 * `CONFIG` for an invalid URL, `LMCACHE_UNREACHABLE` or `LMCACHE_BAD_ANSWER` if nothing that was configured answers, and on abort the signal's
 * reason.
 */
export async function discoverLmcache(options: DiscoverOptions): Promise<LmcacheTopology> {
  const { signal, timeoutMs } = options
  const open = (url: string) => new Endpoint(url, timeoutMs, options.fetch)
  const givenServer = options.lmcacheUrl === undefined ? undefined : parseBaseUrl(options.lmcacheUrl, 'lmcacheUrl')
  const given = givenServer === undefined ? undefined : await askServer(open(givenServer), undefined, signal)
  const warnings: string[] = []

  const coordinatorUrl = chooseCoordinator(options.coordinatorUrl, given, warnings)
  if (coordinatorUrl === undefined && given === undefined) {
    throw new CwmError('CONFIG', 'LMCache needs a coordinatorUrl, or the lmcacheUrl of a server', {
      param: 'coordinatorUrl',
    })
  }
  const coordinator = coordinatorUrl === undefined ? undefined : await askCoordinator(open(coordinatorUrl), signal)
  if (coordinator?.failure !== undefined && given?.server.reachable !== true) throw coordinator.failure
  if (coordinator === undefined && given?.failure !== undefined) throw given.failure
  warnings.push(...(coordinator?.warnings ?? []))

  const listed = coordinator?.listed ?? []
  const others = listed.filter((entry) => entry.url !== givenServer && entry.instanceId !== given?.server.instanceId)
  const facts = [
    ...(given === undefined ? [] : [given]),
    ...(await mapSome(others, (entry) => askServer(open(entry.url), entry.instanceId, signal))),
  ]
  warnings.push(...facts.flatMap((fact) => fact.warnings))
  const servers = facts.map((fact) => register(fact, listed))
  if (coordinator !== undefined && coordinator.failure === undefined) warnings.push(...unregisteredWarnings(servers))

  const agreed = agree(servers, warnings)
  const engines = uniqueEngines(servers.flatMap((server) => server.engines))
  if (engines.length === 0) warnings.push('no engine has attached to LMCache yet, so its key names are unknown')
  const alive = coordinator?.failure === undefined ? coordinator : undefined
  if (alive !== undefined && agreed.chunkSize !== null) {
    warnings.push(...(await probeChunkSize(open(alive.url), agreed.chunkSize, signal)))
  }
  return {
    ...(alive === undefined ? {} : { coordinatorUrl: alive.url }),
    pins: alive?.pins ?? false,
    directory: alive !== undefined && servers.some((server) => server.registered && server.eventReporting === true),
    ...agreed,
    servers,
    sharedL2: sharedL2Of(servers, options.l2Shared ?? null),
    engines,
    warnings,
  }
}

/** The configured URL overrides the server's. A server's invalid URL is a warning. */
function chooseCoordinator(
  configured: string | undefined,
  given: ServerFacts | undefined,
  warnings: string[],
): string | undefined {
  if (configured !== undefined) return parseBaseUrl(configured, 'coordinatorUrl')
  if (given === undefined || !given.server.reachable) return undefined
  if (given.coordinatorUrl === '') {
    warnings.push(`LMCache server ${given.server.url} has no coordinator: no pins and no directory`)
    return undefined
  }
  try {
    return parseBaseUrl(given.coordinatorUrl, 'the coordinator URL')
  } catch {
    warnings.push(
      `LMCache server ${given.server.url} names a coordinator URL that cwm cannot use: no pins and no directory`,
    )
    return undefined
  }
}

function register(fact: ServerFacts, listed: readonly ListedServer[]): LmcacheServer {
  const { server } = fact
  const entry = listed.find((e) => e.instanceId === server.instanceId) ?? listed.find((e) => e.url === server.url)
  return {
    ...server,
    ...(entry === undefined ? {} : { instanceId: entry.instanceId }),
    registered: entry !== undefined,
  }
}

function unregisteredWarnings(servers: readonly LmcacheServer[]): string[] {
  if (servers.length === 0) return ['no LMCache server has registered with the coordinator']
  return servers
    .filter((server) => !server.registered)
    .map((server) => `LMCache server ${server.url} is not registered with the coordinator (--coordinator-url)`)
}

/** The fleet's common chunk size and hash: docs/engine-behavior.md#one-chunk-size. */
function agree(
  servers: readonly LmcacheServer[],
  warnings: string[],
): Pick<LmcacheTopology, 'chunkSize' | 'hashAlgorithm'> {
  const one = <T>(what: string, values: readonly (T | null)[]): T | null => {
    const distinct = [...new Set(values.filter((value) => value !== null))]
    if (distinct.length > 1)
      warnings.push(`LMCache servers differ in ${what} (${distinct.join(', ')}): they share no chunks`)
    return distinct.length === 1 ? (distinct[0] ?? null) : null
  }
  return {
    chunkSize: one(
      'chunk size',
      servers.map((server) => server.chunkSize),
    ),
    hashAlgorithm: one(
      'hash algorithm',
      servers.map((server) => server.hashAlgorithm),
    ),
  }
}

async function mapSome<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = []
  for (let i = 0; i < items.length; i += serversAtOnce) {
    done.push(...(await Promise.all(items.slice(i, i + serversAtOnce).map(work))))
  }
  return done
}
