// The store in Redis, for several proxies: every write is one transaction in its tenant's slot. Opening and closing is here; the methods
// are in the redis-*.ts files by subject, the layout is in redis-keys.ts.

import { CwmError } from '../../base/errors.ts'
import type { Logger } from '../../base/logger.ts'
import { type Sealer, sealCheck, sealCheckKey, verifySealCheck } from '../seal.ts'
import type { Store } from '../store.ts'
import { apiKeysIn } from './redis-api-keys.ts'
import { RedisChanges } from './redis-changes.ts'
import { inspectRedis, throwFaults } from './redis-check.ts'
import { deletionsIn } from './redis-deletions.ts'
import { enginesIn } from './redis-engines.ts'
import { storeUnavailable } from './redis-errors.ts'
import { eventsIn } from './redis-events.ts'
import { heldWindowsIn } from './redis-held.ts'
import { leasesIn } from './redis-leases.ts'
import { ledgerIn } from './redis-ledger.ts'
import { librariesIn } from './redis-libraries.ts'
import { lineagesIn } from './redis-lineages.ts'
import { RedisLink } from './redis-link.ts'
import { loginsIn } from './redis-logins.ts'
import { ratesIn } from './redis-rates.ts'
import { resealIn } from './redis-reseal.ts'
import { retainedIn } from './redis-retained.ts'
import { RedisRows } from './redis-rows.ts'
import { sessionsIn } from './redis-sessions.ts'
import { tenantsIn } from './redis-tenants.ts'
import { tracesIn } from './redis-traces.ts'
import { parseRedisUrl } from './redis-url.ts'
import { windowListsIn } from './redis-window-list.ts'
import { windowsIn } from './redis-windows.ts'

export interface RedisOptions {
  /** `redis[s][-cluster]://[[user]:password@]host[:port][/database]`. */
  readonly url: string
  readonly log: Pick<Logger, 'info' | 'warn'>
  /** Seals messages, ids and texts. Absent: they are stored in clear text. */
  readonly sealer?: Sealer
  /** Prefix of all keys. Default `cwm`. */
  readonly prefix?: string
  /**
   * Timeout of a call to Redis, milliseconds; contents may take ten times as long. Default 1,000: a turn without its store starts cold, and
   * on a busy machine waiting is cheaper than the prefill.
   */
  readonly commandTimeoutMs?: number
  /** See {@link Store.maxStalenessMs}. Default 1,000. */
  readonly maxStalenessMs?: number
  /** Bound of the placements of one engine (EngineMethods). */
  readonly maxPlacements?: number
}

/** The layout of redis-keys.ts. */
const schemaVersion = 1
const restMs = 1000

/**
 * Connects and checks the server. Throws `CONFIG` for an unusable URL, credentials, server or keys, `STORE_UNAVAILABLE` if it cannot be
 * reached.
 */
export async function openRedisStore(options: RedisOptions): Promise<Store> {
  const { url, log, sealer, prefix = 'cwm', commandTimeoutMs: timeoutMs = 1_000, maxStalenessMs = 1000 } = options
  const address = parseRedisUrl(url)
  const link = await RedisLink.open({ address, timeoutMs, restMs, log })
  const opened: { close(): void }[] = [link]
  try {
    const findings = await inspectRedis(link, address.cluster)
    for (const warning of findings.warnings) log.warn({ redis: findings.version }, warning)
    throwFaults(findings)
    const contents = await RedisLink.open({ address, timeoutMs: timeoutMs * 10, restMs })
    opened.push(contents)
    const rows = new RedisRows({ prefix, sealer, link, contents })
    await checkSchema(rows)
    await verifyKeys(rows)
    const changes = await RedisChanges.open(rows, address, maxStalenessMs)
    return gated(methodsOf(rows, changes, options), async () => {
      await changes.close()
      for (const connection of opened) connection.close()
    })
  } catch (thrown) {
    for (const connection of opened) connection.close()
    throw thrown
  }
}

function methodsOf(rows: RedisRows, changes: RedisChanges, { maxPlacements }: RedisOptions): Omit<Store, 'close'> {
  return {
    kind: 'redis',
    get maxStalenessMs() {
      return changes.maxStalenessMs
    },
    onChange: (listener) => changes.listen(listener),
    async ping() {
      await rows.get(rows.shared.schema)
    },
    async claimMeta(key, value) {
      await rows.link.call('SET', rows.shared.meta(key), value, 'NX')
      return String(await rows.get(rows.shared.meta(key)))
    },
    ...sessionsIn(rows, changes),
    ...tracesIn(rows),
    ...lineagesIn(rows, changes),
    ...windowsIn(rows),
    ...windowListsIn(rows),
    ...heldWindowsIn(rows),
    ...deletionsIn(rows),
    ...tenantsIn(rows, changes),
    ...apiKeysIn(rows, changes),
    ...eventsIn(rows, changes),
    ...retainedIn(rows),
    ...loginsIn(rows),
    ...enginesIn(rows, changes, maxPlacements),
    ...librariesIn(rows),
    ...ledgerIn(rows),
    ...ratesIn(rows),
    ...leasesIn(rows),
    ...resealIn(rows, async (sealer) => {
      await rows.link.call('SET', rows.shared.meta(sealCheckKey), sealCheck(sealer))
    }),
  }
}

/** Rejects new calls once it is closed, and closes when all current calls have ended. */
function gated(methods: Omit<Store, 'close'>, end: () => Promise<void>): Store {
  /** Bounded by the callers' concurrency: each call ends by its deadline. */
  const running = new Set<Promise<unknown>>()
  let closing: Promise<void> | undefined
  const enter = async (work: () => Promise<unknown>): Promise<unknown> => {
    if (closing !== undefined) throw new CwmError('STORE_UNAVAILABLE', 'the store is closed')
    const task = work()
    running.add(task)
    try {
      return await task
    } catch (thrown) {
      throw thrown instanceof CwmError ? thrown : storeUnavailable('its data cannot be read', thrown)
    } finally {
      running.delete(task)
    }
  }
  const { kind, maxStalenessMs: _, onChange, ...calls } = methods
  const doors = Object.entries(calls).map(([name, method]) => {
    const call = method as (...args: readonly unknown[]) => Promise<unknown>
    return [name, (...args: readonly unknown[]) => enter(() => call(...args))] as const
  })
  return {
    kind,
    get maxStalenessMs() {
      return methods.maxStalenessMs
    },
    onChange,
    ...(Object.fromEntries(doors) as unknown as typeof calls),
    close() {
      closing ??= Promise.allSettled(running).then(end)
      return closing
    },
  }
}

async function checkSchema(rows: RedisRows): Promise<void> {
  await rows.link.call('SET', rows.shared.schema, schemaVersion, 'NX')
  const version = Number(await rows.get(rows.shared.schema))
  if (version === schemaVersion) return
  throw new CwmError(
    'CONFIG',
    `the Redis store has schema version ${version} but this cwm supports ${schemaVersion}: run the cwm that wrote it, or use ` +
      'another database',
  )
}

/** Prevents the start if the keys do not match the sealed data, and adds a check value if there is none. */
async function verifyKeys(rows: RedisRows): Promise<void> {
  const { link, sealer } = rows
  const key = rows.shared.meta(sealCheckKey)
  if (sealer !== undefined) await link.call('SET', key, sealCheck(sealer), 'NX')
  const stored = await rows.get(key)
  verifySealCheck(sealer, stored === null ? undefined : String(stored))
}
