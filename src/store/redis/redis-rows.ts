// What every part of the Redis store builds on: reads, transactions that are tried again when what they had read is no longer so,
// pages out of sorted sets, and the list of tenants. Knows keys and bytes, no records.

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
  /** For contents: a connection of its own with a longer deadline, so that nothing small waits behind 5 MB. */
  readonly contents: RedisLink
}

/** Each round somebody's commit went through, so so many rounds mean far more writers of one record than there can be. */
const mostRounds = 100
const tenantsAtOnce = 32

/** Where in a sorted set a name lies. */
export interface Entry {
  readonly name: string
  readonly score: number
}

/** A page out of a sorted set; what is absent lets everything pass. */
export interface SetQuery {
  readonly order: 'asc' | 'desc'
  readonly limit: number
  /** Begins after this entry, which need not be there. */
  readonly after?: Entry | undefined
  /** Names that are in at least one set of each group. */
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

  /** The values of keys of one slot, all of one moment. */
  async getAll(keys: readonly string[], link = this.link): Promise<(Buffer | null)[]> {
    return keys.length === 0 ? [] : ((await link.call('MGET', ...keys)) as (Buffer | null)[])
  }

  /** Texts out of a command that answers a list of them. */
  async texts(command: string, ...words: readonly Word[]): Promise<string[]> {
    return ((await this.link.call(command, ...words)) as Buffer[]).map(String)
  }

  async number(command: string, ...words: readonly Word[]): Promise<number> {
    return Number(await this.link.call(command, ...words))
  }

  /**
   * Lets `work` read and say what to write, and writes it if all that `work` expected is still so; otherwise once more from the
   * start. What it answers is answered. `link`: over which it is written.
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
    throw storeUnavailable('too many proxies changed the same thing at once')
  }

  /** Up to `limit + 1` entries: the one too many says that there are more. */
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

  /** What `read` answers for each tenant, flat, a few tenants at a time. */
  async ofAllTenants<T>(read: (tenant: string) => Promise<readonly T[]>): Promise<T[]> {
    const tenants = await this.tenants()
    const all: T[] = []
    for (let n = 0; n < tenants.length; n += tenantsAtOnce) {
      all.push(...(await Promise.all(tenants.slice(n, n + tenantsAtOnce).map(read))).flat())
    }
    return all
  }

  /** The tenants, for work that ends before all are seen. */
  async tenants(): Promise<readonly string[]> {
    return (await this.texts('SMEMBERS', this.shared.tenants)).map(decodeURIComponent)
  }

  /** Takes a tenant of whom nothing is left off the list. A write of another proxy puts it back, at whatever moment it comes. */
  async unlistIfEmpty(tenant: string): Promise<void> {
    const keys = this.keysOf(tenant)
    const rest = [keys.sessions, keys.windowsBy('name'), keys.deletions, keys.expiries, keys.turns, keys.shared]
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
    // Whoever takes the tenant off the list looks for `known` after that: it may have looked just before this was written.
    await add()
  }
}
