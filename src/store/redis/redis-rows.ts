// Shared by all parts of the Redis store: reads, transactions that are retried when their reads are outdated, pages of sorted sets, and the
// list of tenants. Knows keys and bytes, no records.

import type { Sealer } from '../seal.ts'
import { storeUnavailable } from './redis-errors.ts'
import { SharedKeys, TenantKeys } from './redis-keys.ts'
import type { RedisLink, Word } from './redis-link.ts'
import { commitScript, pageScript } from './redis-scripts.ts'
import { Transaction } from './redis-transaction.ts'

export interface RedisRowsOptions {
  readonly prefix: string
  readonly sealer: Sealer | undefined
  /** For records and lists. */
  readonly link: RedisLink
  /** For contents: a separate connection with a longer deadline, so that nothing small waits behind 5 MB. */
  readonly contents: RedisLink
}

/** In each round another writer's commit succeeded, so this many rounds mean more writers of one record than can exist. */
const mostRounds = 100
const tenantsAtOnce = 32

/** The position of a name in a sorted set. */
export interface Entry {
  readonly name: string
  readonly score: number
}

/** A page of a sorted set. Absent conditions match everything. */
export interface SetQuery {
  readonly order: 'asc' | 'desc'
  readonly limit: number
  /** Start after this entry, which need not exist. */
  readonly after?: Entry | undefined
  /** Names in at least one set of each group. */
  readonly groups?: readonly (readonly string[])[]
  readonly text?: string | undefined
  readonly created?: { readonly key: string; readonly from: number | undefined; readonly before: number | undefined }
}

export class RedisRows {
  readonly sealer: Sealer | undefined
  readonly link: RedisLink
  readonly contents: RedisLink
  readonly shared: SharedKeys
  readonly #prefix: string

  constructor(options: RedisRowsOptions) {
    this.sealer = options.sealer
    this.link = options.link
    this.contents = options.contents
    this.shared = new SharedKeys(options.prefix)
    this.#prefix = options.prefix
  }

  keysOf(tenant: string): TenantKeys {
    return new TenantKeys(this.#prefix, tenant)
  }

  async get(key: string): Promise<Buffer | null> {
    return (await this.link.call('GET', key)) as Buffer | null
  }

  /** The values of keys in one slot, all from one moment. */
  async getAll(keys: readonly string[], link = this.link): Promise<(Buffer | null)[]> {
    return keys.length === 0 ? [] : ((await link.call('MGET', ...keys)) as (Buffer | null)[])
  }

  /** The texts in a command's list answer. */
  async texts(command: string, ...words: readonly Word[]): Promise<string[]> {
    return ((await this.link.call(command, ...words)) as Buffer[]).map(String)
  }

  async number(command: string, ...words: readonly Word[]): Promise<number> {
    return Number(await this.link.call(command, ...words))
  }

  /**
   * Lets `work` read and decide what to write, and commits it if everything that `work` expected still holds; otherwise starts again.
   * Returns what `work` returns. `link`: the connection for the commit.
   */
  async atomically<T>(tenant: string, work: (tx: Transaction) => Promise<T>, link = this.link): Promise<T> {
    const keys = this.keysOf(tenant)
    for (let round = 0; round < mostRounds; round++) {
      const tx = new Transaction(keys.known)
      const answer = await work(tx)
      if (!tx.writes) return answer
      const outcome = String(await link.run(commitScript, tx.keys, tx.args))
      if (outcome === 'done') return answer
      if (outcome === 'unlisted') await this.#list(tenant)
    }
    throw storeUnavailable('too many proxies are changing the same record at once')
  }

  /** Up to `limit + 1` entries; the additional one shows that there are more. */
  async page(key: string, query: SetQuery): Promise<readonly Entry[]> {
    const { order, limit, groups = [], text = '', created } = query
    const found: Entry[] = []
    let { after } = query
    for (;;) {
      const keys = [key, created?.key ?? key, ...groups.flat()]
      const answer = (await this.link.run(pageScript, keys, [
        order,
        limit + 1 - found.length,
        after?.score ?? '',
        after?.name ?? '',
        text.toLowerCase(),
        created?.from ?? '-inf',
        created?.before ?? '+inf',
        ...groups.map((sets) => sets.length),
      ])) as Buffer[]
      const [score, name, ...rows] = answer.map(String)
      for (let n = 0; n < rows.length; n += 2) found.push({ name: rows[n] ?? '', score: Number(rows[n + 1]) })
      if (score === '' || found.length > limit) break
      after = { name: name ?? '', score: Number(score) }
    }
    return found
  }

  /** The results of `read` for all tenants as one list, a few tenants at a time. */
  async ofAllTenants<T>(read: (tenant: string) => Promise<readonly T[]>): Promise<T[]> {
    const tenants = await this.tenants()
    const all: T[] = []
    for (let n = 0; n < tenants.length; n += tenantsAtOnce) {
      all.push(...(await Promise.all(tenants.slice(n, n + tenantsAtOnce).map(read))).flat())
    }
    return all
  }

  /** The tenants, for work that may stop before the last. */
  async tenants(): Promise<readonly string[]> {
    return (await this.texts('SMEMBERS', this.shared.tenants)).map(decodeURIComponent)
  }

  /** Removes a tenant without any data from the list. A concurrent write of another proxy adds it again, at whatever moment it comes. */
  async unlistIfEmpty(tenant: string): Promise<void> {
    const keys = this.keysOf(tenant)
    const { sessions, deletions, expiries, turns, shared, held, libraries } = keys
    const rest = [sessions, keys.windowsBy('name'), deletions, expiries, turns, shared, held, libraries]
    if ((await this.number('EXISTS', ...rest)) > 0) return
    const tx = new Transaction(undefined)
    for (const key of rest) tx.expectAbsent(key)
    tx.write('DEL', keys.known)
    tx.write('DEL', keys.usage)
    if (String(await this.link.run(commitScript, tx.keys, tx.args)) !== 'done') return
    await this.link.call('SREM', this.shared.tenants, encodeURIComponent(tenant))
    if ((await this.number('EXISTS', keys.known)) > 0) await this.#list(tenant)
  }

  async #list(tenant: string): Promise<void> {
    const add = () => this.link.call('SADD', this.shared.tenants, encodeURIComponent(tenant))
    await add()
    await this.link.call('SET', this.keysOf(tenant).known, '1')
    // A proxy that removes the tenant from the list checks `known` afterwards; it may have checked just before this write.
    await add()
  }
}
