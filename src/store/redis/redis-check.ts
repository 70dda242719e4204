// Checks at startup whether a Redis can be cwm's store. Settings that would silently lose data stop the start, others cause a warning.
// Managed servers forbid some queries; their results are reported as unknown.

import { CwmError } from '../../base/errors.ts'
import type { RedisLink } from './redis-link.ts'

/** The result. `faults` stop the start. Both lists contain messages for an operator, without keys. */
export interface RedisFindings {
  readonly version: string
  readonly faults: readonly string[]
  readonly warnings: readonly string[]
}

const oldest = [6, 2] as const
const scansAtMost = 100
const keysPerScan = 1000

/** How LMCache's resp adapter names chunks: docs/engine-behavior.md#chunk-keys. */
const chunkKey = /@[0-9a-f]{8}@\d+@[0-9a-f]{16,64}@/

/** Checks the server behind `link`. `cluster`: its address was a cluster's. Rejects with `STORE_UNAVAILABLE` only. */
export async function inspectRedis(link: RedisLink, cluster: boolean): Promise<RedisFindings> {
  const info = await infoOf(link)
  const faults: string[] = []
  const warnings: string[] = []
  const version = info.get('redis_version') ?? 'unknown'
  if (info.size === 0) warnings.push('Redis forbids INFO: its version, memory policy and durability are unknown')
  if (isTooOld(version)) faults.push(`Redis is ${version}: cwm needs ${oldest.join('.')} or later`)
  if (info.get('cluster_enabled') === '1' && !cluster) {
    faults.push('this Redis is a node of a cluster: start its URL with redis-cluster:// or rediss-cluster://')
  }
  const policy = info.get('maxmemory_policy')
  if (Number(info.get('maxmemory') ?? 0) > 0 && policy !== 'noeviction') {
    faults.push(
      `Redis evicts keys when its memory is full (maxmemory-policy ${policy ?? 'unknown'}), including sessions and windows: ` +
        'set maxmemory-policy noeviction',
    )
  }
  if (info.get('aof_enabled') === '0') {
    warnings.push('Redis does not log its writes (appendonly no): the newest data is lost when it stops')
  } else if (info.size > 0) {
    warnings.push(...(await durabilityOf(link)))
  }
  if (await holdsChunks(link)) {
    faults.push(
      "LMCache stores KV in this Redis database, and fills it until it evicts: give cwm's store its own server",
    )
  }
  return { version, faults, warnings }
}

/** Throws `CONFIG` with all faults. */
export function throwFaults({ faults }: RedisFindings): void {
  if (faults.length > 0) throw new CwmError('CONFIG', faults.join('; '), { param: 'store' })
}

async function infoOf(link: RedisLink): Promise<ReadonlyMap<string, string>> {
  const text = await query(link, 'INFO')
  const lines = String(text ?? '').split('\r\n')
  return new Map(lines.filter((line) => line.includes(':')).map((line) => [line.split(':')[0] ?? '', afterColon(line)]))
}

async function durabilityOf(link: RedisLink): Promise<readonly string[]> {
  const answer = (await query(link, 'CONFIG', 'GET', 'appendfsync')) as Buffer[] | undefined
  if (answer === undefined) return ['Redis forbids CONFIG GET: how often it flushes its log is unknown']
  if (String(answer[1]) !== 'no') return []
  return ['Redis leaves flushing its log to the system (appendfsync no): a power cut loses up to 30 seconds']
}

/** The answer; undefined if the server forbids the query. */
async function query(link: RedisLink, command: string, ...args: readonly string[]): Promise<unknown> {
  try {
    return await link.call(command, ...args)
  } catch (thrown) {
    if (link.isAway) throw thrown
    return undefined
  }
}

async function holdsChunks(link: RedisLink): Promise<boolean> {
  let cursor = '0'
  for (let scans = 0; scans < scansAtMost; scans++) {
    const answer = await query(link, 'SCAN', cursor, 'MATCH', '*@*@*@*', 'COUNT', String(keysPerScan))
    if (answer === undefined) return false
    const [next, keys] = answer as [Buffer, Buffer[]]
    if (keys.some((key) => chunkKey.test(key.toString('latin1')))) return true
    cursor = String(next)
    if (cursor === '0') return false
  }
  return false
}

function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return version !== 'unknown' && (major < oldest[0] || (major === oldest[0] && minor < oldest[1]))
}

function afterColon(line: string): string {
  return line.slice(line.indexOf(':') + 1)
}
