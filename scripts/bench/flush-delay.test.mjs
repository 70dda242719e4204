// Slowed flushes, in a separate process as in a benchmark: both ways in which cwm flushes must be caught.

import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildFlushDelay } from './flush-delay.mjs'

const DELAY_MS = 30
const isPossible = process.platform === 'linux' && spawnSync('cc', ['--version']).error === undefined
if (!isPossible) console.warn('skipping tests of --flush-ms, which need Linux and a C compiler (cc)')

let folder

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'cwm-flush-delay-'))
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs a module in a process whose flushes are slowed; returns what it logs, as JSON, and how many flushes were counted. */
function runSlowed(name, source) {
  const { flushDelay, error } = buildFlushDelay(DELAY_MS, folder)
  expect(error).toBeUndefined()
  const env = { ...process.env, ...flushDelay.envFor(name), FOLDER: folder }
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', source], {
    ...{ env, encoding: 'utf8' },
  })
  expect(stderr).toBe('')
  return { logged: JSON.parse(stdout), count: flushDelay.countOf(name) }
}

describe.skipIf(!isPossible)('slowed flushes (needs cc)', () => {
  it("include Node's, on the main thread and beside it", () => {
    const { logged, count } = runSlowed(
      'node',
      `import fs from 'node:fs'
      const file = fs.openSync(process.env.FOLDER + '/node', 'w')
      const startedAt = performance.now()
      fs.fsyncSync(file)
      fs.fdatasyncSync(file)
      const handle = await fs.promises.open(process.env.FOLDER + '/node', 'r+')
      await handle.datasync()
      await handle.sync()
      console.log(performance.now() - startedAt)`,
    )

    expect(count).toBe(4)
    expect(logged).toBeGreaterThanOrEqual(4 * DELAY_MS)
  })

  it("include those of SQLite in libsql's native module", () => {
    const { logged, count } = runSlowed(
      'libsql',
      `import Database from 'libsql'
      const db = new Database(process.env.FOLDER + '/libsql.db')
      db.exec('PRAGMA journal_mode = WAL')
      db.exec('CREATE TABLE t (a); INSERT INTO t VALUES (1)')
      const startedAt = performance.now()
      db.exec('PRAGMA wal_checkpoint(TRUNCATE)')
      console.log(performance.now() - startedAt)
      db.close()`,
    )

    expect(count).toBeGreaterThan(0)
    expect(logged).toBeGreaterThanOrEqual(DELAY_MS)
  })

  it('are counted for each process apart', () => {
    const { flushDelay } = buildFlushDelay(DELAY_MS, folder)

    expect(flushDelay.countOf('another')).toBe(0)
  })
})

it.runIf(process.platform === 'linux')('says what to install if there is no C compiler', () => {
  expect(buildFlushDelay(DELAY_MS, folder, 'no-such-cc')).toEqual({
    error: '--flush-ms: needs the C compiler no-such-cc; install one, for example: apt-get install gcc libc6-dev',
  })
})
