// The memory limit of a Redis and its eviction policy. The doctor reads them from LMCache's Redis; redis-check.ts checks cwm's own.

import { Redis } from 'ioredis'

/** `limit` in bytes, 0 for none; or the reason why it is unknown. */
export type RedisMemory = { readonly limit: number; readonly policy: string } | { readonly unknown: string }

/** Queries the Redis at `host:port`, without credentials. Never throws. */
export async function readRedisMemory(address: string, timeoutMs: number): Promise<RedisMemory> {
  const at = address.lastIndexOf(':')
  const client = new Redis({
    host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'),
    port: Number(address.slice(at + 1)),
    lazyConnect: true,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  // Without a listener ioredis writes to standard error. The call below reports the same error.
  client.on('error', () => {})
  try {
    await client.connect()
    const info = await client.info('memory')
    const field = (name: string) => new RegExp(`^${name}:(.*)\\r?$`, 'm').exec(info)?.[1]?.trim()
    return { limit: Number(field('maxmemory') ?? 0), policy: field('maxmemory_policy') ?? 'unknown' }
  } catch (thrown) {
    const words = thrown instanceof Error ? thrown.message : ''
    return { unknown: /NOAUTH|WRONGPASS|NOPERM/.test(words) ? 'it wants a password' : 'it does not answer' }
  } finally {
    client.disconnect()
  }
}
