// The store in one SQLite file, for one machine: every method is one statement or one transaction. The file itself (opening,
// locks, durability) is sqlite-database.ts's; the tables are sqlite-schema.ts's.

import { CwmError } from '../base/errors.ts'
import type { Boundary, SessionRecord, WindowContent, WindowRecord, WindowState } from '../base/records.ts'
import type { BoundaryHit, Page, PageRequest, Store, WindowChange } from '../base/store.ts'
import { checkLimit, numberPosition, textPosition, toPage } from './page.ts'
import { type DatabaseOptions, type Query, SqliteDatabase } from './sqlite-database.ts'
import { numberAt, promptAt, sessionAt, textAt, tokenIdsAt, tokenIdsToBlob, windowAt } from './sqlite-rows.ts'

export type { DatabaseOptions as SqliteOptions, StoreLog } from './sqlite-database.ts'

/** Later than every time and id: the first page begins here. */
const end = Number.MAX_SAFE_INTEGER

/**
 * Opens the file, or makes it, and brings its schema up to date. Several processes may open one file.
 * Throws `CONFIG` when the file is damaged, another program's or a newer cwm's, else `STORE_UNAVAILABLE`.
 */
export async function openSqliteStore(options: DatabaseOptions): Promise<Store> {
  const db = await SqliteDatabase.open(options)
  try {
    return new SqliteStore(db, await db.run(() => prepareAll(db)))
  } catch (thrown) {
    await db.close()
    throw thrown
  }
}

const sql = {
  addMeta: 'INSERT INTO meta (key, value) VALUES (?, ?)',
  getMeta: 'SELECT value FROM meta WHERE key = ?',

  getSession: 'SELECT record FROM sessions WHERE tenant = ? AND id = ?',
  addSession: 'INSERT INTO sessions (tenant, id, last_turn_at, record) VALUES (?, ?, ?, ?)',
  putSession: `INSERT INTO sessions (tenant, id, last_turn_at, record) VALUES (?, ?, ?, ?)
    ON CONFLICT (tenant, id) DO UPDATE SET last_turn_at = excluded.last_turn_at, record = excluded.record`,
  listSessions: `SELECT record FROM sessions WHERE tenant = ? AND (last_turn_at, id) < (?, ?)
    ORDER BY last_turn_at DESC, id DESC LIMIT ?`,

  getBoundary: 'SELECT session_id, expires_at FROM boundaries WHERE tenant = ? AND digest = ?',
  // REPLACE gives the row a new, higher `seq`: it becomes the session's newest.
  putBoundary: 'INSERT OR REPLACE INTO boundaries (tenant, digest, session_id, expires_at) VALUES (?, ?, ?, ?)',
  trimBoundaries: `DELETE FROM boundaries WHERE tenant = ?1 AND session_id = ?2 AND seq <= (
    SELECT seq FROM boundaries WHERE tenant = ?1 AND session_id = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3)`,
  findBoundaries: `SELECT digest, session_id FROM boundaries
    WHERE tenant = ? AND digest IN (SELECT value FROM json_each(?)) AND expires_at > ?`,
  dropExpired: `DELETE FROM boundaries WHERE seq IN (
    SELECT seq FROM boundaries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)`,

  dropForgotten: `DELETE FROM sessions WHERE rowid IN (
    SELECT rowid FROM sessions WHERE last_turn_at < ? AND json_extract(record, '$.named') = 0
      AND json_extract(record, '$.baseWindow') IS NULL ORDER BY last_turn_at LIMIT ?)`,

  findWindow: 'SELECT seq, record FROM windows WHERE tenant = ? AND name = ?',
  addWindow: `INSERT INTO windows (tenant, name, id, state, pin, created_at, record) VALUES (?, ?, ?, ?, ?, ?, ?)`,
  dropWindow: 'DELETE FROM windows WHERE seq = ?',
  changeWindow: 'UPDATE windows SET state = ?, pin = ?, record = ? WHERE seq = ?',
  addPrompt: 'INSERT INTO window_prompts (window, prompt) VALUES (?, ?)',
  putTokens: `INSERT INTO window_tokens (window, token_ids) VALUES (?, ?)
    ON CONFLICT (window) DO UPDATE SET token_ids = excluded.token_ids`,
  getContent: `SELECT prompt, token_ids FROM windows
    JOIN window_prompts ON window_prompts.window = seq JOIN window_tokens ON window_tokens.window = seq
    WHERE tenant = ? AND name = ? AND id = ?`,
  listWindows: `SELECT record FROM windows WHERE tenant = ? AND (created_at, name) < (?, ?)
    ORDER BY created_at DESC, name DESC LIMIT ?`,
  listForRepair: `SELECT record, seq FROM windows
    WHERE (created_at, seq) > (?, ?) AND (pin <> 'none' OR state IN (?, ?, ?)) ORDER BY created_at, seq LIMIT ?`,
} as const

type Statements = Readonly<Record<keyof typeof sql, Query>>

function prepareAll(db: SqliteDatabase): Statements {
  const entries = Object.entries(sql).map(([name, text]) => [name, db.prepare(text)] as const)
  return Object.fromEntries(entries) as Statements
}

class SqliteStore implements Store {
  readonly kind = 'sqlite'
  readonly #db: SqliteDatabase
  readonly #sql: Statements

  constructor(db: SqliteDatabase, statements: Statements) {
    this.#db = db
    this.#sql = statements
  }

  claimMeta(key: string, value: string): Promise<string> {
    return this.#db.run(() => {
      const seen = this.#sql.getMeta.get(key)
      if (seen !== undefined) return textAt(seen, 0)
      return this.#db.transaction('power', () => {
        const stored = this.#sql.getMeta.get(key)
        if (stored !== undefined) return textAt(stored, 0)
        this.#sql.addMeta.run(key, value)
        return value
      })
    })
  }

  getOrCreateSession(fresh: SessionRecord): Promise<SessionRecord> {
    return this.#db.run(() => {
      const seen = this.#session(fresh.tenant, fresh.id) // most calls end here, without the writers' lock
      if (seen !== undefined) return seen
      return this.#db.transaction('power', () => {
        const stored = this.#session(fresh.tenant, fresh.id)
        if (stored !== undefined) return stored
        this.#sql.addSession.run(fresh.tenant, fresh.id, fresh.lastTurnAt, JSON.stringify(fresh))
        return fresh
      })
    })
  }

  getSession(tenant: string, id: string): Promise<SessionRecord | undefined> {
    return this.#db.run(() => this.#session(tenant, id))
  }

  async listSessions(tenant: string, page: PageRequest): Promise<Page<SessionRecord>> {
    checkLimit(page.limit)
    const [at, id] = textPosition('sessions', page) ?? [end, '']
    return this.#db.run(() => {
      const rows = this.#sql.listSessions.all(tenant, at, id, page.limit + 1).map((row) => sessionAt(row, 0))
      return toPage(
        'sessions',
        rows,
        page.limit,
        (session) => session,
        (session) => [session.lastTurnAt, session.id],
      )
    })
  }

  async saveTurn(session: SessionRecord, boundaries: readonly Boundary[], keepBoundaries: number): Promise<void> {
    const { tenant, id } = session
    if (boundaries.some((boundary) => boundary.tenant !== tenant || boundary.sessionId !== id)) {
      throw new CwmError('INTERNAL', "a turn's boundaries must belong to its own session")
    }
    return this.#db.run(() => {
      const stored = this.#session(tenant, id)
      // A new session, or one that now shares other KV, is what later turns and windows rely on.
      const kept = stored?.lineage === session.lineage && stored.baseWindowId === session.baseWindowId
      this.#db.transaction(kept ? 'crash' : 'power', () => {
        this.#sql.putSession.run(tenant, id, session.lastTurnAt, JSON.stringify(session))
        for (const boundary of boundaries) this.#saveBoundary(boundary, session.lastTurnAt)
        this.#sql.trimBoundaries.run(tenant, id, keepBoundaries)
      })
    })
  }

  async findBoundaries(
    tenant: string,
    digests: readonly string[],
    now: number,
  ): Promise<ReadonlyMap<string, BoundaryHit>> {
    return this.#db.run(() => {
      const rows = this.#sql.findBoundaries.all(tenant, JSON.stringify(digests), now)
      return new Map(
        rows.map((row) => [textAt(row, 0), row[1] === null ? ('ambiguous' as const) : { sessionId: textAt(row, 1) }]),
      )
    })
  }

  dropExpired(now: number, atMost: number): Promise<number> {
    return this.#db.run(() => this.#db.transaction('crash', () => this.#sql.dropExpired.run(now, atMost)))
  }

  dropForgotten(before: number, atMost: number): Promise<number> {
    return this.#db.run(() => this.#db.transaction('crash', () => this.#sql.dropForgotten.run(before, atMost)))
  }

  reserveWindow(record: WindowRecord, content: WindowContent): Promise<boolean> {
    const { tenant, name, id, state, pin, createdAt } = record
    return this.#db.run(() =>
      this.#db.transaction('power', () => {
        const taken = this.#sql.findWindow.get(tenant, name)
        if (taken !== undefined) {
          const held = windowAt(taken, 1)
          if (held.state !== 'failed' || held.pin !== 'none') return false
          this.#sql.dropWindow.run(numberAt(taken, 0)) // its content goes with it: ON DELETE CASCADE
        }
        this.#sql.addWindow.run(tenant, name, id, state, pin, createdAt, JSON.stringify(record))
        const added = this.#sql.findWindow.get(tenant, name)
        if (added === undefined) throw new Error('the window just written is not there')
        this.#sql.addPrompt.run(numberAt(added, 0), JSON.stringify(content.prompt))
        this.#sql.putTokens.run(numberAt(added, 0), tokenIdsToBlob(content.tokenIds))
        return true
      }),
    )
  }

  changeWindow(tenant: string, name: string, id: string, change: WindowChange): Promise<boolean> {
    const { tokenIds, ...fields } = change
    return this.#db.run(() =>
      this.#db.transaction('power', () => {
        const row = this.#sql.findWindow.get(tenant, name)
        if (row === undefined) return false
        const held = windowAt(row, 1)
        if (held.id !== id) return false
        const next: WindowRecord = { ...held, ...fields }
        this.#sql.changeWindow.run(next.state, next.pin, JSON.stringify(next), numberAt(row, 0))
        if (tokenIds !== undefined) this.#sql.putTokens.run(numberAt(row, 0), tokenIdsToBlob(tokenIds))
        return true
      }),
    )
  }

  getWindow(tenant: string, name: string): Promise<WindowRecord | undefined> {
    return this.#db.run(() => {
      const row = this.#sql.findWindow.get(tenant, name)
      return row === undefined ? undefined : windowAt(row, 1)
    })
  }

  getWindowContent(tenant: string, name: string, id: string): Promise<WindowContent | undefined> {
    return this.#db.run(() => {
      const row = this.#sql.getContent.get(tenant, name, id)
      return row === undefined ? undefined : { prompt: promptAt(row, 0), tokenIds: tokenIdsAt(row, 1) }
    })
  }

  async listWindows(tenant: string, page: PageRequest): Promise<Page<WindowRecord>> {
    checkLimit(page.limit)
    const [at, name] = textPosition('windows', page) ?? [end, '']
    return this.#db.run(() => {
      const rows = this.#sql.listWindows.all(tenant, at, name, page.limit + 1).map((row) => windowAt(row, 0))
      return toPage(
        'windows',
        rows,
        page.limit,
        (window) => window,
        (window) => [window.createdAt, window.name],
      )
    })
  }

  async listForRepair(states: readonly WindowState[], page: PageRequest): Promise<Page<WindowRecord>> {
    checkLimit(page.limit)
    const [at, seq] = numberPosition('repair', page) ?? [-end, 0]
    const [first = null, second = null, third = null] = new Set(states) // there are three; null matches none
    return this.#db.run(() => {
      const rows = this.#sql.listForRepair
        .all(at, seq, first, second, third, page.limit + 1)
        .map((row) => ({ window: windowAt(row, 0), seq: numberAt(row, 1) }))
      return toPage(
        'repair',
        rows,
        page.limit,
        (row) => row.window,
        (row) => [row.window.createdAt, row.seq],
      )
    })
  }

  close(): Promise<void> {
    return this.#db.close()
  }

  #session(tenant: string, id: string): SessionRecord | undefined {
    const row = this.#sql.getSession.get(tenant, id)
    return row === undefined ? undefined : sessionAt(row, 0)
  }

  /** `at` is the turn's own time: what had expired by then makes nobody ambiguous. */
  #saveBoundary({ tenant, digest, sessionId, expiresAt }: Boundary, at: number): void {
    const row = this.#sql.getBoundary.get(tenant, digest)
    if (row === undefined || row[0] === sessionId || numberAt(row, 1) <= at) {
      this.#sql.putBoundary.run(tenant, digest, sessionId, expiresAt)
    } else {
      this.#sql.putBoundary.run(tenant, digest, null, Math.max(numberAt(row, 1), expiresAt))
    }
  }
}
