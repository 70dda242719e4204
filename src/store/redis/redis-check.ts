// Whether a Redis is fit to be cwm's store, asked at start: what would lose data in silence stops it, the rest is warned of. Managed
// servers forbid some questions; what cannot be asked is said to be unknown.

import { CwmError } from '../../base/errors.ts'
import type { RedisLink } from './redis-link.ts'

/** What was found. `faults` stop the start; both are in words for an operator, and name no key. */
export interface RedisFindings {
  readonly version: string
  readonly faults: readonly string[]
  readonly warnings: readonly string[]
}

const oldest = [6, 2] as const
const scansAtMost = 100
const keysPerScan = 1000

/** How LMCache's resp adapter names a chunk: docs/engine-behavior.md#chunk-keys. */
const chunkKey = /@[0-9a-f]{8}@\d+@[0-9a-f]{16,64}@/

/** Looks at the server behind `link`; `cluster`: it was addressed as one. Rejects with `STORE_UNAVAILABLE` only. */
export async function inspectRedis(link: RedisLink, cluster: boolean): Promise<RedisFindings> {
  const info = await infoOf(link)
  const faults: string[] = []
  const warnings: string[] = []
  const version = info.get('redis_version') ?? 'unknown'
  if (info.size === 0) warnings.push('Redis forbids INFO: its version, memory policy and durability are unknown')
  if (isTooOld(version)) faults.push(`Redis is ${version}: cwm needs ${oldest.join('.')} or later`)
  if (info.get('cluster_enabled') === '1' && !cluster) {
    faults.push('this Redis is a node of a cluster: write its URL with redis-cluster:// or rediss-cluster://')
  }
  const policy = info.get('maxmemory_policy')
  if (Number(info.get('maxmemory') ?? 0) > 0 && policy !== 'noeviction') {
    faults.push(
      `Redis drops keys when its memory is full (maxmemory-policy ${policy ?? 'unknown'}), sessions and windows among them: ` +
        'set maxmemory-policy noeviction',
    )
  }
  if (info.get('aof_enabled') === '0') {
    warnings.push('Redis keeps no log of its writes (appendonly no): when it stops, what was written last is lost')
  } else if (info.size > 0) {
    warnings.push(...(await durabilityOf(link)))
  }
  if (await holdsChunks(link)) {
    faults.push(
      "LMCache keeps KV in this Redis database: give cwm's store a server of its own, since LMCache fills its Redis until it evicts",
    )
  }
  return { version, faults, warnings }
}

/** Throws `CONFIG` with all faults. */
export function refuseFaults({ faults }: RedisFindings): void {
  if (faults.length > 0) throw new CwmError('CONFIG', faults.join('; '), { param: 'store' })
}

async function infoOf(link: RedisLink): Promise<ReadonlyMap<string, string>> {
  const text = await askedFor(link, 'INFO')
  const lines = String(text ?? '').split('\r\n')
  return new Map(lines.filter((line) => line.includes(':')).map((line) => [line.split(':')[0] ?? '', afterColon(line)]))
}

async function durabilityOf(link: RedisLink): Promise<readonly string[]> {
  const answer = (await askedFor(link, 'CONFIG', 'GET', 'appendfsync')) as Buffer[] | undefined
  if (answer === undefined) return ['Redis forbids CONFIG GET: how often its log reaches the disk is unknown']
  if (String(answer[1]) !== 'no') return []
  return [
    'Redis leaves it to the system when its log reaches the disk (appendfsync no): a power cut takes up to 30 seconds',
  ]
}

/** The answer; undefined where the server forbids the question. */
async function askedFor(link: RedisLink, command: string, ...words: readonly string[]): Promise<unknown> {
  try {
    return await link.call(command, ...words)
  } catch (thrown) {
    if (link.isAway) throw thrown
    return undefined
  }
}

async function holdsChunks(link: RedisLink): Promise<boolean> {
  let cursor = '0'
  for (let scans = 0; scans < scansAtMost; scans++) {
    const answer = await askedFor(link, 'SCAN', cursor, 'MATCH', '*@*@*@*', 'COUNT', String(keysPerScan))
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
