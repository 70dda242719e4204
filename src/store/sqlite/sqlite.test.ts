// The SQLite store: the contract, and its own behavior (the file, its version, its permissions, other processes).

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import Libsql from 'libsql'
import ts from 'typescript'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FEW_PLACEMENTS } from '../../../test/contracts/store/engines.ts'
import {
  aBoundary,
  aSession,
  aTurn,
  aWindow,
  noon,
  putTurn,
  someContent,
} from '../../../test/contracts/store/sample-records.ts'
import { describeStoreContract } from '../../../test/contracts/store/store-contract.ts'
import type { Store } from '../store.ts'
import { openSqliteStore, type SqliteOptions } from './sqlite.ts'
import { schemaVersion } from './sqlite-schema.ts'

let folder: string
let path: string
let handles: Store[]

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cwm-store-'))
  path = join(folder, 'data', 'cwm.db')
  handles = []
})

afterEach(dispose)

async function open(options: Partial<SqliteOptions> = {}): Promise<Store> {
  const store = await openSqliteStore({ path, maxPlacements: FEW_PLACEMENTS, ...options })
  handles.push(store)
  return store
}

async function dispose(): Promise<void> {
  await Promise.all(handles.map((store) => store.close()))
  rmSync(folder, { recursive: true, force: true })
}

describeStoreContract('sqlite', async (sealer) => ({
  store: await open(sealer === undefined ? {} : { sealer }),
  reopen: () => open(sealer === undefined ? {} : { sealer }),
  reopenWith: (other) => open(other === undefined ? {} : { sealer: other }),
  dispose,
}))

// As in production, where the process holds the lock of the directory: the contract's handles share one, closed with the last of them.
describeStoreContract('sqlite as the only writer', async (sealer) => {
  let sole: Store | undefined
  let users = 0
  const handle = async (other: typeof sealer): Promise<Store> => {
    sole ??= await open({ soleWriter: true, ...(other === undefined ? {} : { sealer: other }) })
    users++
    const close = async () => {
      const last = --users === 0 ? sole : undefined
      if (last === undefined) return
      sole = undefined
      await last.close()
    }
    return { ...sole, close }
  }
  const reopenWith = async (other: typeof sealer) => {
    await sole?.close()
    sole = undefined
    users = 0
    return await handle(other)
  }
  return { store: await handle(sealer), reopen: () => handle(sealer), reopenWith, dispose }
})

describe('the file', () => {
  it('is readable by its owner only, and so are its log and its shared memory', async () => {
    const umask = process.umask(0)
    try {
      const store = await open()
      await store.getOrCreateSession(aSession())
    } finally {
      process.umask(umask)
    }

    const modes = readdirSync(join(folder, 'data')).map((name) => [name, modeOf(join(folder, 'data', name))])
    expect(Object.fromEntries(modes)).toEqual({ 'cwm.db': 0o600, 'cwm.db-shm': 0o600, 'cwm.db-wal': 0o600 })
    expect(modeOf(join(folder, 'data'))).toBe(0o700)
  })

  it('loses permissions that others had', async () => {
    mkdirSync(join(folder, 'data'))
    writeFileSync(path, '', { mode: 0o644 })

    await open()

    expect(modeOf(path)).toBe(0o600)
  })

  it('has nothing left of a window that was replaced', async () => {
    const store = await open()
    await store.reserveWindow(aWindow({ state: 'failed' }), someContent('a secret plan, '.repeat(5000)))
    await store.reserveWindow(aWindow({ id: 'window-2' }), someContent('another text'))
    await store.close()

    const bytes = readFileSync(path).toString('latin1')
    expect(bytes).toContain('another text')
    expect(bytes).not.toContain('a secret plan')
  })

  it('is rejected and unchanged if a newer cwm wrote it', async () => {
    await (await open()).close()
    inFile((db) => db.exec(`PRAGMA user_version = ${schemaVersion + 1}`))

    await expect(open()).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('run the newer cwm'),
    })

    expect(inFile((db) => db.prepare('PRAGMA user_version').get([]))).toMatchObject({ user_version: schemaVersion + 1 })
  })

  it("is rejected if it is another program's", async () => {
    mkdirSync(join(folder, 'data'))
    inFile((db) => db.exec('CREATE TABLE bookmarks (url)'))

    await expect(open()).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('separate file') })
  })

  it('is rejected if it is not a database', async () => {
    mkdirSync(join(folder, 'data'))
    writeFileSync(path, 'not a database '.repeat(1000))

    await expect(open()).rejects.toMatchObject({ code: 'CONFIG', message: expect.stringContaining('backup') })
  })

  it('is rejected if its first page is damaged', async () => {
    const store = await open()
    await store.getOrCreateSession(aSession())
    await store.close()
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.fill(0xff, 100, 4096))

    await expect(open()).rejects.toMatchObject({ code: 'CONFIG' })
  })

  it('is STORE_UNAVAILABLE when it cannot be made', async () => {
    writeFileSync(join(folder, 'file'), '')

    await expect(open({ path: join(folder, 'file', 'cwm.db') })).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  })

  it('is optional: a store in memory works the same', async () => {
    const store = await open({ path: ':memory:' })

    await putTurn(store, aSession(), [aBoundary()])

    expect(await store.findBoundaries('acme', ['digest-1'], noon)).toEqual(
      new Map([['digest-1', { sessionId: 'session-1' }]]),
    )
  })
})

describe('expired things', () => {
  it('are counted as they are dropped; a lineage stays retired for thirty days', async () => {
    const day = 24 * 3_600_000
    const store = await open({ now: () => noon })
    const boundaries = [aBoundary({ expiresAt: noon }), aBoundary({ digest: 'two', expiresAt: noon })]
    const responses = [{ id: 'resp-1', expiresAt: noon }]
    await store.saveTurn(aSession(), { boundaries, keepBoundaries: 4, responses }, true)
    await store.retireLineage('acme', 'lineage-9')

    expect([await store.dropExpired(noon, 2), await store.dropExpired(noon, 2)]).toEqual([2, 1])
    expect(await store.dropExpired(noon + 30 * day - 1, 2)).toBe(0)
    expect(await store.isRetired('acme', 'lineage-9')).toBe(true)
    expect(await store.dropExpired(noon + 30 * day, 2)).toBe(1)
    expect(await store.isRetired('acme', 'lineage-9')).toBe(false)
  })
})

describe('a lock that another process holds', () => {
  it('is waited for while the event loop continues', async () => {
    const store = await open()
    const holder = holdLock()
    let ticks = 0
    const ticker = setInterval(() => ticks++, 5)

    const asked = store.getOrCreateSession(aSession())
    await until(() => ticks >= 3)
    holder.release()

    expect(await asked).toEqual(aSession())
    clearInterval(ticker)
  })

  it('is STORE_UNAVAILABLE with its cause once the time is over; reads go on', async () => {
    const store = await open({ lockTimeoutMs: 0 })
    await store.getOrCreateSession(aSession())
    const holder = holdLock()

    await expect(store.reserveWindow(aWindow(), someContent())).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      cause: { code: 'SQLITE_BUSY' },
    })
    expect(await store.getSession('acme', 'session-1')).toEqual(aSession())

    holder.release()
    expect(await store.reserveWindow(aWindow(), someContent())).toBe('stored')
  })

  it('is waited for by close, after which everything is written', async () => {
    const store = await open()
    const holder = holdLock()

    const asked = store.getOrCreateSession(aSession())
    const closed = store.close()
    holder.release()
    await Promise.all([asked, closed])

    expect(await (await open()).getSession('acme', 'session-1')).toEqual(aSession())
  })
})

describe('several processes on one file', () => {
  it('create it together, agree on every lineage and never share a window name', async () => {
    const script = compileStore()
    const children = ['a', 'b', 'c'].map((own) => new Child(script, own))
    await Promise.all(children.map((child) => child.ready()))

    const answers = await Promise.all(children.map((child) => child.go()))

    const lineages = answers.map((answer) => answer.lineages)
    expect(lineages[1]).toEqual(lineages[0])
    expect(lineages[2]).toEqual(lineages[0])
    expect(answers.flatMap((answer) => answer.won).sort()).toEqual(answers[0]?.names.toSorted())
  })
})

function modeOf(file: string): number {
  return statSync(file).mode & 0o777
}

function inFile<T>(work: (db: Libsql.Database) => T): T {
  const db = new Libsql(path)
  try {
    return work(db)
  } finally {
    db.close()
  }
}

/** A second connection in this process locks like another process. */
function holdLock(): { release(): void } {
  const db = new Libsql(path)
  db.exec('BEGIN IMMEDIATE')
  return {
    release() {
      db.exec('COMMIT')
      db.close()
    },
  }
}

async function until(done: () => boolean): Promise<void> {
  for (let n = 0; n < 1000; n++) {
    if (done()) return
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  throw new Error('it did not come to pass within 5 s')
}

/** Node 20 runs no TypeScript, so the children import the store as JavaScript. */
function compileStore(): string {
  const source = join(import.meta.dirname, '..', '..')
  for (const room of ['base', 'store', 'store/sqlite']) {
    mkdirSync(join(folder, room))
    for (const name of readdirSync(join(source, room))) {
      if (!/^[a-z-]+\.ts$/.test(name)) continue
      const { outputText } = ts.transpileModule(readFileSync(join(source, room, name), 'utf8'), {
        compilerOptions: {
          module: ts.ModuleKind.ESNext,
          target: ts.ScriptTarget.ES2023,
          rewriteRelativeImportExtensions: true,
        },
      })
      writeFileSync(join(folder, room, `${basename(name, '.ts')}.js`), outputText)
    }
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  symlinkSync(join(source, '..', 'node_modules'), join(folder, 'node_modules'))
  const script = join(folder, 'child.js')
  writeFileSync(script, childText)
  return script
}

interface ChildAnswer {
  readonly lineages: readonly string[]
  readonly won: readonly string[]
  readonly names: readonly string[]
}

// All wait for the same signal, so that they open, create and reserve at the same time.
const childText = `
  import { once } from 'node:events'
  import { openSqliteStore } from './store/sqlite/sqlite.js'
  const [path, own, session, window, content] = process.argv.slice(2).map((text) => JSON.parse(text))
  console.log('"ready"')
  await once(process.stdin, 'data')
  const store = await openSqliteStore({ path })
  const names = Array.from({ length: 40 }, (_, n) => 'name-' + n)
  const lineages = []
  const won = []
  for (const id of names) {
    lineages.push((await store.getOrCreateSession({ ...session, id, lineage: own + id })).lineage)
    const ids = { prompt: content, tokenIds: Uint32Array.of(1) }
    if ((await store.reserveWindow({ ...window, name: id, id: own + id }, ids)) === 'stored') won.push(id)
  }
  await store.close()
  console.log(JSON.stringify({ lineages, won, names }))
  process.exit(0)
`

/** A process that waits for `go` and then prints its results. */
class Child {
  readonly #process: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>

  constructor(script: string, own: string) {
    const values = [path, own, aSession(), aWindow(), someContent().prompt].map((value) => JSON.stringify(value))
    this.#process = spawn(process.execPath, [script, ...values])
    this.#process.stderr.pipe(process.stderr)
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
  }

  async ready(): Promise<void> {
    await this.#lines.next()
  }

  async go(): Promise<ChildAnswer> {
    this.#process.stdin.write('go')
    const line = await this.#lines.next()
    if (line.done === true) throw new Error('the child ended without an answer')
    return JSON.parse(line.value) as ChildAnswer
  }
}

describe('retained turns of a tenant that has stored none for an hour', () => {
  it('are dropped before those of others', async () => {
    let now = noon
    const store = await open({ now: () => now })
    const put = async (tenant: string, id: string) => {
      await store.getOrCreateSession(aSession({ tenant, id }))
      await store.putRetained(tenant, id, aTurn('x'.repeat(1000)), 6_000)
    }
    await put('idle', 'i')
    now += 3_600_001
    for (const id of ['a', 'b', 'c', 'd', 'e']) await put('acme', id)

    expect(await store.getRetained('idle', 'i')).toBeUndefined()
    expect(await store.getRetained('acme', 'a')).toBeDefined()
  })
})
