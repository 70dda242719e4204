// Placements and drained engines in SQLite.

import { type EngineMethods, maxDraining, maxPlacements } from '../engine-methods.ts'
import type { SqliteCore } from './sqlite-core.ts'
import { numberAt, textAt } from './sqlite-rows.ts'

/** Skips extensions by less than this fraction of the lifetime. Otherwise each turn would write. */
const EXTEND_PARTS = 32

/** The engine methods of the store. They do not flush pending turns, because placements do not depend on them. */
export function enginesIn({ db, now }: SqliteCore, most = maxPlacements): EngineMethods {
  const sql = db.prepareAll({
    get: 'SELECT engine, expires_at FROM placements WHERE key = ? AND expires_at > ?',
    put: `INSERT INTO placements (key, engine, expires_at) VALUES (?, ?, ?)
      ON CONFLICT (key) DO UPDATE SET engine = excluded.engine, expires_at = excluded.expires_at`,
    total: "SELECT total FROM totals WHERE of = 'placements'",
    dropFirst: 'DELETE FROM placements WHERE key IN (SELECT key FROM placements ORDER BY expires_at LIMIT ?)',
    count: 'SELECT count(*) FROM placements WHERE engine = ?',
    drain: 'INSERT OR IGNORE INTO draining_engines (engine, since) VALUES (?, ?)',
    trim: `DELETE FROM draining_engines WHERE engine IN (
      SELECT engine FROM draining_engines ORDER BY since DESC, engine LIMIT -1 OFFSET ?)`,
    resume: 'DELETE FROM draining_engines WHERE engine = ?',
    draining: 'SELECT engine FROM draining_engines ORDER BY engine',
  })

  function trim(): void {
    const row = sql.total.get()
    const surplus = row === undefined ? 0 : numberAt(row, 0) - most
    if (surplus > 0) sql.dropFirst.run(surplus)
  }

  return {
    getPlacement: (key) =>
      db.runBeside(() => {
        const row = sql.get.get(key, now())
        return row === undefined ? undefined : textAt(row, 0)
      }),

    place: (key, engine, instead, ttlMs) =>
      db.runBeside(() => {
        const at = now()
        const expiresAt = at + ttlMs
        const read = () => {
          const row = sql.get.get(key, at)
          if (row === undefined) return { kept: engine, isEnough: false }
          const stored = textAt(row, 0)
          const kept = stored === instead ? engine : stored
          const isExtended = numberAt(row, 1) >= expiresAt - Math.floor(ttlMs / EXTEND_PARTS)
          return { kept, isEnough: kept === stored && isExtended }
        }
        const seen = read() // most calls end here, without the writers' lock
        if (seen.isEnough) return seen.kept
        return db.transaction('crash', () => {
          const { kept } = read()
          sql.put.run(key, kept, expiresAt)
          trim()
          return kept
        })
      }),

    countPlacements: (engine) =>
      db.runBeside(() => {
        const row = sql.count.get(engine)
        return row === undefined ? 0 : numberAt(row, 0)
      }),

    setDraining: (engine, draining) =>
      db.run(() =>
        db.transaction('power', () => {
          if (!draining) return void sql.resume.run(engine)
          sql.drain.run(engine, now())
          sql.trim.run(maxDraining)
        }),
      ),

    listDraining: () => db.run(() => sql.draining.all().map((row) => textAt(row, 0))),
  }
}
