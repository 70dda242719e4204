// The secret from which all salts come: given by the operator, or made once in the data directory.

import { randomBytes } from 'node:crypto'
import { chmod, link, mkdir, readFile, stat, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CwmError } from '../base/errors.ts'

const MIN_SECRET_CHARACTERS = 16

export interface SecretSource {
  readonly secret: Buffer
  /** Where it came from, for the start-up lines; never the secret. */
  readonly from: string
}

/**
 * The given secret, or the one in `<dataDir>/secret` (made there at first start, mode 0600).
 * Throws `CONFIG` when it is too short, or when the file can be read by others.
 */
export async function loadSecret(given: string | undefined, dataDir: string): Promise<SecretSource> {
  if (given !== undefined) {
    if (given.length < MIN_SECRET_CHARACTERS) {
      throw new CwmError('CONFIG', `CWM_SECRET must have at least ${MIN_SECRET_CHARACTERS} characters`, {
        param: 'CWM_SECRET',
      })
    }
    return { secret: Buffer.from(given, 'utf8'), from: 'CWM_SECRET' }
  }
  await mkdir(dataDir, { recursive: true, mode: 0o700 })
  const path = join(dataDir, 'secret')
  await makeSecret(path)
  const { mode } = await stat(path)
  // Windows has no such modes: everything is 0o666 there.
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new CwmError('CONFIG', `${path} can be read by others; run: chmod 600 ${path}`, { param: 'data_dir' })
  }
  const secret = Buffer.from((await readFile(path, 'utf8')).trim(), 'base64url')
  if (secret.length < 32) throw new CwmError('CONFIG', `${path} holds no secret made by cwm`, { param: 'data_dir' })
  return { secret, from: path }
}

/** Makes the file whole and once: two proxies that start together end with the same secret. */
async function makeSecret(path: string): Promise<void> {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  await writeFile(draft, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flush: true })
  try {
    await chmod(draft, 0o600)
    await link(draft, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  } finally {
    await unlink(draft)
  }
}
