// A passage index over windows that a test makes, and a libsql that fails.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { JsonValue } from '../../src/base/json.ts'
import { silentLogger } from '../../src/base/logger.ts'
import { createMetrics } from '../../src/base/metrics.ts'
import type { WindowContent, WindowRecord } from '../../src/base/records.ts'
import { PassageIndex, type PassageIndexParts } from '../../src/passages/passage-index.ts'
import { aWindow } from '../contracts/store/sample-records.ts'

/** Windows of a store: their records, and what `getWindowContent` reads. */
export class SomeWindows {
  readonly records: WindowRecord[] = []
  readonly contents = new Map<string, WindowContent>()
  /** Ids in the order in which they were read. */
  readonly reads: string[] = []
  /** Every read waits for it. */
  gate: Promise<void> = Promise.resolve()

  /** Adds a frozen window with a text, or with messages. */
  add(name: string, text: string | readonly JsonValue[], change: Partial<WindowRecord> = {}): WindowRecord {
    const record = aWindow({ name, id: `id of ${name}`, state: 'frozen', ...change })
    const messages = typeof text === 'string' ? [{ role: 'user', content: text }] : text
    this.records.push(record)
    this.contents.set(record.id, {
      prompt: { dialect: record.dialect, model: record.model, messages, shaping: {} },
      tokenIds: new Uint32Array(),
    })
    return record
  }

  remove({ id }: WindowRecord): void {
    this.records.splice(
      this.records.findIndex((record) => record.id === id),
      1,
    )
    this.contents.delete(id)
  }

  readonly store: PassageIndexParts['store'] = {
    maxStalenessMs: Number.POSITIVE_INFINITY,
    getWindow: async (tenant, name) => this.records.find((record) => record.tenant === tenant && record.name === name),
    getWindowContent: async (_tenant, _name, id) => {
      this.reads.push(id)
      await this.gate
      return this.contents.get(id)
    },
  }
}

export function passageIndexOver(windows: SomeWindows, change: Partial<PassageIndexParts> = {}): PassageIndex {
  const unfollowed = () => {
    throw new TypeError('nobody else writes to this store')
  }
  return new PassageIndex({
    store: windows.store,
    events: { subscribe: unfollowed },
    maxBytes: 64 * 1024 * 1024,
    metrics: createMetrics(),
    log: silentLogger,
    now: () => 0,
    ...change,
  })
}

/** A module like libsql that ends its thread when it stores a text with the words `the end`, as often as given. */
export function failingLibsql(times: number): { readonly path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'cwm-libsql-'))
  const path = join(folder, 'failing.cjs')
  const real = JSON.stringify(createRequire(import.meta.url).resolve('libsql'))
  const failures = JSON.stringify(join(folder, 'failures'))
  writeFileSync(
    path,
    `const { appendFileSync, existsSync, statSync } = require('node:fs')
     const Real = require(${real})
     const fail = () => {
       if (existsSync(${failures}) && statSync(${failures}).size >= ${times}) return
       appendFileSync(${failures}, '.')
       process.exit(3)
     }
     module.exports = class {
       constructor(path) {
         const db = new Real(path)
         this.exec = (sql) => db.exec(sql)
         this.close = () => db.close()
         this.prepare = (sql) => {
           const statement = db.prepare(sql)
           const run = (...values) => {
             if (values.some((value) => String(value).includes('the end'))) fail()
             return statement.run(...values)
           }
           return { run, all: (...values) => statement.all(...values), get: (...values) => statement.get(...values) }
         }
       }
     }`,
  )
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
