// Dumps all keys of a Redis as the commands that recreate them. A dump.rdb, or the output of DUMP, cannot be loaded by an older Redis.

import { Redis } from 'ioredis'

/** Keys with a shorter TTL are leases of a process that has ended, and are left out. */
const DAY_MS = 24 * 3_600_000

/** Text if it is valid text, otherwise `{ base64 }`. */
function word(bytes) {
  const text = bytes.toString('utf8')
  return Buffer.from(text, 'utf8').equals(bytes) ? text : { base64: bytes.toString('base64') }
}

/** By type: how to read a value, and the commands that write it. */
const types = {
  string: async (client, key) => [['SET', key, word(await client.callBuffer('GET', key))]],
  list: async (client, key) => [['RPUSH', key, ...(await client.callBuffer('LRANGE', key, 0, -1)).map(word)]],
  set: async (client, key) => [['SADD', key, ...(await client.callBuffer('SMEMBERS', key)).map(word)]],
  hash: async (client, key) => [['HSET', key, ...(await client.callBuffer('HGETALL', key)).map(word)]],
  zset: async (client, key) => {
    const flat = (await client.callBuffer('ZRANGE', key, 0, -1, 'WITHSCORES')).map(word)
    const pairs = flat.flatMap((member, n) => (n % 2 === 0 ? [flat[n + 1], member] : []))
    return [['ZADD', key, ...pairs]]
  },
  stream: async (client, key) => {
    const entries = await client.callBuffer('XRANGE', key, '-', '+')
    return entries.map(([id, fields]) => ['XADD', key, word(id), ...fields.map(word)])
  },
}

/** The commands, sorted by key. */
export async function dump(url) {
  const client = new Redis(url, { protocol: 2 })
  try {
    const commands = []
    for (const key of (await client.keys('*')).sort()) {
      const left = await client.pttl(key)
      if (left >= 0 && left < DAY_MS) continue
      const type = await client.type(key)
      if (types[type] === undefined) throw new Error(`unsupported type ${type}`)
      commands.push(...(await types[type](client, key)))
      if (left >= 0) commands.push(['PEXPIREAT', key, String(await client.pexpiretime(key))])
    }
    return commands
  } finally {
    client.disconnect()
  }
}
