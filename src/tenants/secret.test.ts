// The secret: made once, kept private, never replaced.

import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { loadSecret } from './secret.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cwm-secret-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function fault(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return ''
  } catch (thrown) {
    return thrown instanceof CwmError ? `${thrown.code}: ${thrown.message}` : 'another error'
  }
}

describe('loadSecret', () => {
  it('takes the given one, and makes no file', async () => {
    expect(await loadSecret('sixteen letters!', folder)).toEqual({
      secret: Buffer.from('sixteen letters!'),
      from: 'CWM_SECRET',
    })
    expect(await readdir(folder)).toEqual([])
  })

  it('refuses a given one that is too short, without showing it', async () => {
    expect(await fault(loadSecret('fifteen letters', folder))).toBe(
      'CONFIG: CWM_SECRET must have at least 16 characters',
    )
  })

  it('makes one of 256 random bits that its owner alone can read, and nothing else', async () => {
    const { secret, from } = await loadSecret(undefined, folder)

    expect(secret).toHaveLength(32)
    expect(from).toBe(join(folder, 'secret'))
    expect((await stat(from)).mode & 0o777).toBe(0o600)
    expect(await readdir(folder)).toEqual(['secret'])
  })

  it('makes its folder, readable by its owner alone', async () => {
    await loadSecret(undefined, join(folder, 'a', 'b'))

    expect((await stat(join(folder, 'a', 'b'))).mode & 0o777).toBe(0o700)
  })

  it('reads the same one again', async () => {
    const first = await loadSecret(undefined, folder)

    expect((await loadSecret(undefined, folder)).secret).toEqual(first.secret)
  })

  it('is one for all who start at the same moment', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, () => loadSecret(undefined, folder)))

    expect(new Set(all.map(({ secret }) => secret.toString('hex'))).size).toBe(1)
    expect(await readdir(folder)).toEqual(['secret'])
  })

  it.each([0o640, 0o604, 0o660, 0o666, 0o610])('refuses a file of mode %o, and says what to do', async (mode) => {
    await loadSecret(undefined, folder)
    await chmod(join(folder, 'secret'), mode)

    expect(await fault(loadSecret(undefined, folder))).toMatch(/^CONFIG: .*can be read by others; run: chmod 600 /)
  })

  it.each(['', 'short', 'x'.repeat(20)])('refuses a file with %j in it, and leaves it as it is', async (text) => {
    await writeFile(join(folder, 'secret'), text, { mode: 0o600 })

    expect(await fault(loadSecret(undefined, folder))).toContain('holds no secret made by cwm')
    expect(await readFile(join(folder, 'secret'), 'utf8')).toBe(text)
  })
})
