// What turns leave beside their sessions, in Redis: boundaries and the ids of stored responses. Both expire: dropExpired finds them in
// `expiries`, and Redis removes what no sweep has found.

import type { Boundary, SessionRecord } from '../../base/records.ts'
import type { Store } from '../store.ts'
import type { BoundaryHit, TurnTrace } from '../store-values.ts'
import { jsonInBytes } from '../stored-values.ts'
import type { TenantKeys } from './redis-keys.ts'
import type { RedisRows } from './redis-rows.ts'
import type { Transaction } from './redis-transaction.ts'
import { toJson } from './redis-values.ts'

/** The owner of a boundary or response (null: several sessions), its expiry, and of a response the engine that stores it. */
type Lead = readonly [sessionId: string | null, expiresAt: number, engine?: string]

/** How much later than its expiry Redis removes a trace, because Redis counts with its own clock from the turn's own time. */
const graceMs = 3_600_000
const dropsAtOnce = 500

/** The boundaries of a session by rank, oldest first. */
type ByRank = Map<number, string[]>

/** Adds what a turn leaves to `tx`. `session` is the one that `tx` stores. */
export async function writeTraces(rows: RedisRows, tx: Transaction, session: SessionRecord, trace: TurnTrace) {
  const keys = rows.keysOf(session.tenant)
  const at = session.lastTurnAt
  const boundaries = [...new Map(trace.boundaries.map((boundary) => [boundary.digest, boundary])).values()]
  const leadKeys = boundaries.map(({ digest }) => keys.boundary(digest))
  const [list = null, ranked = null, ...leads] = await rows.getAll([
    keys.boundariesOf(session.id),
    keys.rankedBoundariesOf(session.id),
    ...leadKeys,
  ])

  const own = byRank(list, ranked)
  const next = boundaries.map((boundary, n) => ({ ...boundary, lead: leadAfter(leads[n] ?? null, boundary, at) }))
  const rankOf = new Map(next.map(({ digest, lead, rank = 0 }) => [digest, lead[0] === null ? undefined : rank]))
  const { kept, dropped } = trimmed(own, rankOf, trace.keepBoundaries)
  for (const [n, { digest, lead }] of next.entries()) {
    tx.expect(keys.boundary(digest), leads[n])
    if (!dropped.includes(digest)) writeLead(tx, keys, `b:${digest}`, lead, at)
  }
  await dropOwn(
    rows,
    tx,
    keys,
    session.id,
    dropped.map((digest) => `b:${digest}`),
  )
  tx.expect(keys.boundariesOf(session.id), list)
  tx.write('SET', keys.boundariesOf(session.id), toJson(kept.get(0) ?? []))
  const higher = [...kept].filter(([rank]) => rank > 0)
  const expiresAt = Math.max(0, ...boundaries.map((boundary) => ((boundary.rank ?? 0) > 0 ? boundary.expiresAt : 0)))
  // Few turns leave any; other turns do not touch them.
  if (expiresAt > 0) {
    tx.expect(keys.rankedBoundariesOf(session.id), ranked)
    const lives = Math.max(expiresAt - at, 0) + graceMs
    tx.write('SET', keys.rankedBoundariesOf(session.id), toJson(higher), 'PX', lives)
    const others = higher.flatMap(([, digests]) => digests.filter((digest) => !rankOf.has(digest)))
    await putOff(rows, tx, keys, session.id, others, expiresAt, at)
  }

  for (const { id, expiresAt, engine } of trace.responses ?? []) {
    const lead: Lead = engine === undefined ? [session.id, expiresAt] : [session.id, expiresAt, engine]
    writeLead(tx, keys, `r:${id}`, lead, at)
    tx.write('ZADD', keys.responsesOf(session.id), expiresAt, id)
  }
  if ((trace.responses ?? []).length > 0) tx.write('ZREMRANGEBYSCORE', keys.responsesOf(session.id), '-inf', at)
}

function byRank(list: Buffer | null, ranked: Buffer | null): ByRank {
  const held: ByRank = new Map(ranked === null ? [] : jsonInBytes<[number, string[]][]>(ranked))
  return held.set(0, list === null ? [] : jsonInBytes<string[]>(list))
}

/** `rankOf`: the digests that are now the newest, and their rank; undefined: ambiguous. */
function trimmed(own: ByRank, rankOf: ReadonlyMap<string, number | undefined>, keep: number) {
  const kept: ByRank = new Map()
  for (const [rank, digests] of own) {
    const others = digests.filter((digest) => !rankOf.has(digest))
    kept.set(rank, others)
  }
  for (const [digest, rank] of rankOf) {
    if (rank !== undefined) kept.set(rank, [...(kept.get(rank) ?? []), digest])
  }
  const over: string[] = []
  for (const [rank, digests] of kept) {
    over.push(...digests.slice(0, Math.max(0, digests.length - keep)))
    kept.set(rank, digests.slice(-keep))
  }
  // A cwm without ranks may have listed one of a higher rank among the others.
  const stays = new Set([...kept.values()].flat())
  return { kept, dropped: over.filter((digest) => !stays.has(digest)) }
}

/** Extends the expiry of boundaries that still lead to this session only. */
async function putOff(
  rows: RedisRows,
  tx: Transaction,
  keys: TenantKeys,
  sessionId: string,
  digests: readonly string[],
  expiresAt: number,
  at: number,
) {
  const leads = await rows.getAll(digests.map((digest) => keys.boundary(digest)))
  for (const [n, digest] of digests.entries()) {
    const raw = leads[n] ?? null
    const lead = raw === null ? undefined : jsonInBytes<Lead>(raw)
    if (lead === undefined || lead[0] !== sessionId || lead[1] <= at || lead[1] >= expiresAt) continue
    tx.expect(keys.boundary(digest), raw)
    writeLead(tx, keys, `b:${digest}`, [sessionId, expiresAt], at)
  }
}

/** Adds the removal of everything that leads to a session to `tx`. */
export async function dropTraces(rows: RedisRows, tx: Transaction, tenant: string, sessionId: string): Promise<void> {
  const keys = rows.keysOf(tenant)
  const [list = null, ranked = null] = await rows.getAll([
    keys.boundariesOf(sessionId),
    keys.rankedBoundariesOf(sessionId),
  ])
  const responses = await rows.texts('ZRANGE', keys.responsesOf(sessionId), 0, -1)
  const digests = [...byRank(list, ranked).values()].flat()
  await dropOwn(rows, tx, keys, sessionId, [
    ...digests.map((digest) => `b:${digest}`),
    ...responses.map((id) => `r:${id}`),
  ])
  tx.expect(keys.boundariesOf(sessionId), list)
  tx.write('DEL', keys.boundariesOf(sessionId))
  tx.expect(keys.rankedBoundariesOf(sessionId), ranked)
  tx.write('DEL', keys.rankedBoundariesOf(sessionId))
  tx.write('DEL', keys.responsesOf(sessionId))
}

/**
 * Removes what still leads to this session only, by its members in `expiries`. An ambiguous boundary stays, because it would otherwise lead
 * to the other session; so does a response that another session's turn has named since.
 */
async function dropOwn(
  rows: RedisRows,
  tx: Transaction,
  keys: TenantKeys,
  sessionId: string,
  members: readonly string[],
) {
  const leads = await rows.getAll(members.map((member) => keys.expiring(member)))
  for (const [n, member] of members.entries()) {
    const lead = leads[n] ?? null
    if (lead === null || jsonInBytes<Lead>(lead)[0] !== sessionId) continue
    tx.expect(keys.expiring(member), lead)
    tx.write('DEL', keys.expiring(member))
    tx.write('ZREM', keys.expiries, member)
  }
}

/** `at` is the turn's own time: boundaries that had expired by then cause no ambiguity. */
function leadAfter(held: Buffer | null, { sessionId, expiresAt }: Boundary, at: number): Lead {
  if (held === null) return [sessionId, expiresAt]
  const [holder, until] = jsonInBytes<Lead>(held)
  if (holder === sessionId || until <= at) return [sessionId, expiresAt]
  return [null, Math.max(until, expiresAt)]
}

function writeLead(tx: Transaction, keys: TenantKeys, member: string, lead: Lead, at: number): void {
  tx.write('SET', keys.expiring(member), toJson(lead), 'PX', Math.max(lead[1] - at, 0) + graceMs)
  tx.write('ZADD', keys.expiries, lead[1], member)
}

/** The trace methods of the store. */
export function tracesIn(rows: RedisRows): Pick<Store, 'findBoundaries' | 'findResponse' | 'dropExpired'> {
  async function leadsAt(keys: readonly string[], now: number): Promise<(Lead | undefined)[]> {
    const stored = await rows.getAll(keys)
    return stored.map((value) => {
      const lead = value === null ? undefined : jsonInBytes<Lead>(value)
      return lead !== undefined && lead[1] > now ? lead : undefined
    })
  }

  function dropSome(tenant: string, now: number, atMost: number): Promise<number> {
    const keys = rows.keysOf(tenant)
    return rows.atomically(tenant, async (tx) => {
      const members = await rows.texts('ZRANGE', keys.expiries, '-inf', now, 'BYSCORE', 'LIMIT', 0, atMost)
      if (members.length === 0) return 0
      const leads = await rows.getAll(members.map((member) => keys.expiring(member)))
      for (const [n, member] of members.entries()) {
        tx.expect(keys.expiring(member), leads[n])
        tx.write('DEL', keys.expiring(member))
      }
      tx.write('ZREM', keys.expiries, ...members)
      return members.length
    })
  }

  return {
    async findBoundaries(tenant, digests, now) {
      const keys = rows.keysOf(tenant)
      const leads = await leadsAt(
        digests.map((digest) => keys.boundary(digest)),
        now,
      )
      const hits = new Map<string, BoundaryHit>()
      for (const [n, digest] of digests.entries()) {
        const lead = leads[n]
        if (lead !== undefined) hits.set(digest, lead[0] === null ? 'ambiguous' : { sessionId: lead[0] })
      }
      return hits
    },

    async findResponse(tenant, responseId, now) {
      const [lead] = await leadsAt([rows.keysOf(tenant).response(responseId)], now)
      const [sessionId, , engine] = lead ?? [null]
      if (sessionId === null) return undefined
      return engine === undefined ? { sessionId } : { sessionId, engine }
    },

    async dropExpired(now, atMost) {
      let dropped = 0
      for (const tenant of await rows.tenants()) {
        for (;;) {
          const some = Math.min(dropsAtOnce, atMost - dropped)
          if (some === 0) return dropped
          const done = await dropSome(tenant, now, some)
          dropped += done
          if (done < some) break
        }
      }
      return dropped
    },
  }
}

/** Removes all traces of a tenant whose sessions are gone. */
export async function dropAllTraces(rows: RedisRows, tenant: string): Promise<void> {
  const keys = rows.keysOf(tenant)
  for (;;) {
    const members = await rows.texts('ZRANGE', keys.expiries, 0, dropsAtOnce - 1)
    if (members.length === 0) return
    await rows.atomically(tenant, async (tx) => {
      for (const member of members) tx.write('DEL', keys.expiring(member))
      tx.write('ZREM', keys.expiries, ...members)
    })
  }
}
