// The lock of a data directory, against another process too: it must hold, and must end with its process.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockDataDir } from './data-dir-lock.ts'

let dir: string
let children: ChildProcess[]

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cwm-lock-'))
  children = []
})

afterEach(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(dir, { recursive: true })
})

const refused = { code: 'CONFIG', param: 'data_dir', message: expect.stringContaining('another cwm runs') }

describe('the lock of a data directory', () => {
  it('rejects a second one, with a message, until the first is released', async () => {
    const lock = await lockDataDir(dir)
    await expect(lockDataDir(dir)).rejects.toMatchObject(refused)

    await lock.release()
    await lock.release()

    await (await lockDataDir(dir)).release()
  })

  it('can be read by its owner only, and does not affect other directories', async () => {
    const other = mkdtempSync(join(tmpdir(), 'cwm-lock-'))
    const locks = [await lockDataDir(dir), await lockDataDir(other)]

    expect(statSync(join(dir, 'cwm.lock')).mode & 0o777).toBe(0o600)

    for (const lock of locks) await lock.release()
    rmSync(other, { recursive: true })
  })

  it('holds against another process, and ends with it', async () => {
    const child = await lockElsewhere()
    await expect(lockDataDir(dir)).rejects.toMatchObject(refused)

    child.kill('SIGKILL')
    await once(child, 'exit')

    await (await lockDataDir(dir)).release()
  })

  it('reports a directory that cannot be written', async () => {
    await expect(lockDataDir(join(dir, 'nowhere'))).rejects.toMatchObject({
      code: 'CONFIG',
      message: expect.stringContaining('cannot be locked'),
    })
  })
})

/** Node 20 runs no TypeScript, so the child repeats what the lock does. */
async function lockElsewhere(): Promise<ChildProcess> {
  const script = `
    const db = new (require('libsql'))(process.argv[1])
    db.exec('PRAGMA locking_mode = EXCLUSIVE')
    db.exec('BEGIN EXCLUSIVE')
    console.log('held')
    process.stdin.resume()`
  const child = spawn(process.execPath, ['-e', script, join(dir, 'cwm.lock')])
  children.push(child)
  child.stderr.pipe(process.stderr)
  await once(child.stdout, 'data')
  return child
}
