// Reads the tiers directly, without LMCache: the files of its `fs` adapter and the keys in Redis, whose names end with the salt.

import { readdir } from 'node:fs/promises'
import { Redis } from 'ioredis'
import { ask, coordinatorUrl, lmcacheUrl } from './stack.ts'

/** The page size limit of the coordinator. */
const PAGE = 10_000

interface Adapter {
  readonly base_path?: string
  readonly host?: string
  readonly port?: number
}

/** How many chunks of each salt a tier holds. */
export type BySalt = ReadonlyMap<string, number>

export interface Tiers {
  readonly fs: BySalt
  readonly redis: BySalt
  /** Chunks that the coordinator's directory shows anywhere. */
  readonly directory: BySalt
}

export async function readTiers(): Promise<Tiers> {
  const { storage_manager } = (await ask('GET', `${lmcacheUrl}/config`)) as {
    storage_manager: { l2_adapter_config: { adapters: readonly Adapter[] } }
  }
  const { adapters } = storage_manager.l2_adapter_config
  const folder = adapters.find(({ base_path }) => base_path !== undefined)?.base_path
  const server = adapters.find(({ port }) => port !== undefined)
  if (folder === undefined || server?.port === undefined) throw new Error('this engine needs fs and Redis attached')
  const redis = new Redis({ port: server.port, host: server.host ?? '127.0.0.1' })
  try {
    return {
      fs: countSalts(await readdir(folder)),
      redis: countSalts(await redis.keys('*')),
      directory: countSalts(await readDirectory()),
    }
  } finally {
    redis.disconnect()
  }
}

/** The salt of each key in the directory, after an `@` as in the other tiers' names. */
async function readDirectory(): Promise<string[]> {
  const names: string[] = []
  for (let offset = 0; ; offset += PAGE) {
    const { total, keys } = (await ask('GET', `${coordinatorUrl}/directory/keys?limit=${PAGE}&offset=${offset}`)) as {
      total: number
      keys: { key: { cache_salt: string }; placements: unknown[] }[]
    }
    for (const { key, placements } of keys) if (placements.length > 0) names.push(`@${key.cache_salt}`)
    if (offset + PAGE >= total) return names
  }
}

/** Of one salt: chunks in files, in Redis, and in the directory. */
export const chunksOf = ({ fs, redis, directory }: Tiers, salt: string): readonly number[] =>
  [fs, redis, directory].map((tier) => tier.get(salt) ?? 0)

/** All salts in any tier. */
export const saltsOf = ({ fs, redis, directory }: Tiers): ReadonlySet<string> =>
  new Set([...fs.keys(), ...redis.keys(), ...directory.keys()])

function countSalts(names: readonly string[]): BySalt {
  const counts = new Map<string, number>()
  for (const name of names) {
    const salt = /@([^@]*?)(\.data)?$/.exec(name)?.[1]
    if (salt !== undefined) counts.set(salt, (counts.get(salt) ?? 0) + 1)
  }
  return counts
}
