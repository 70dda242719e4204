// Parses a store's URL: where Redis is, how to connect, and with which credentials. No message here quotes the URL, because it may contain
// a password.

import { CwmError } from '../../base/errors.ts'

export interface RedisAddress {
  readonly host: string
  readonly port: number
  readonly tls: boolean
  /** The address is one node of a Redis Cluster, which reports the others. */
  readonly cluster: boolean
  readonly username?: string
  readonly password?: string
  readonly db: number
}

const schemes: Readonly<Record<string, Pick<RedisAddress, 'tls' | 'cluster'>>> = {
  'redis:': { tls: false, cluster: false },
  'rediss:': { tls: true, cluster: false },
  'redis-cluster:': { tls: false, cluster: true },
  'rediss-cluster:': { tls: true, cluster: true },
}

/** Reads `redis[s][-cluster]://[[user]:password@]host[:port][/database]`. Throws `CONFIG`. */
export function parseRedisUrl(text: string): RedisAddress {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const scheme = schemes[url?.protocol ?? '']
  if (url === undefined || scheme === undefined || url.hostname === '' || url.search !== '' || url.hash !== '') {
    throw bad('use redis://[user:password@]host[:port][/database]; rediss:// for TLS, redis-cluster:// for a cluster')
  }
  const database = url.pathname.replace(/^\//, '')
  if (!/^\d{0,4}$/.test(database)) throw bad('the path must be the number of a database, e.g. /0')
  if (scheme.cluster && Number(database) !== 0) throw bad('a Redis Cluster only has database 0')
  return {
    ...scheme,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 6379 : Number(url.port),
    db: Number(database),
    ...(url.username !== '' && { username: decoded(url.username) }),
    ...(url.password !== '' && { password: decoded(url.password) }),
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw bad('a % in user or password must be written as %25')
  }
}

function bad(why: string): CwmError {
  return new CwmError('CONFIG', `the URL of the Redis store cannot be read: ${why}`, { param: 'store' })
}
