// Checks cwm's own store and secret. Creates nothing, because the doctor may run as another user than cwm.

import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { CwmError } from '../base/errors.ts'
import { silentLogger } from '../base/logger.ts'
import { openStore } from '../compose/open-store.ts'
import type { Settings } from '../config/schema.ts'
import { type Finding, failed, ok, skipped, warning } from '../doctor/finding.ts'

/** Opens the store as `cwm serve` does, and closes it again. */
export async function checkStore(settings: Settings): Promise<Finding> {
  const { store: kind, data_dir: dir } = settings
  if (kind === 'sqlite') {
    const path = join(dir, 'cwm.sqlite')
    if ((await modeOf(path)) === undefined) return await checkWritable(dir)
    const mode = (await modeOf(path)) ?? 0
    // Windows has no such permission bits.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      return warning(`others can read ${path} (mode ${mode.toString(8)})`, `chmod 600 ${path}`)
    }
  }
  try {
    const opened = await openStore(settings, silentLogger)
    await opened.store.ping()
    await opened.close()
    return ok(opened.finding.replace(/^store\s+/, ''))
  } catch (thrown) {
    if (!(thrown instanceof CwmError)) throw thrown
    if (isInUse(thrown)) return ok(`a running cwm has ${dir} open`)
    if (thrown.param === 'secret') return skipped('it was created with another secret: see below')
    return failed(
      thrown.message,
      kind === 'sqlite'
        ? 'allow the user of cwm to write there, or choose another --data-dir'
        : 'check that --store is the address of a running Redis, with user and password',
    )
  }
}

/** Where the secret comes from, and who can read it. With a Redis store, the settings require CWM_SECRET. */
export async function checkSecret(settings: Settings): Promise<Finding> {
  const { secret, data_dir: dir } = settings
  const path = join(dir, 'secret')
  if (secret !== undefined) return await checkSecretMatchesStore(settings, 'set by CWM_SECRET')
  const mode = await modeOf(path)
  if (mode === undefined) {
    if ((await modeOf(join(dir, 'cwm.sqlite'))) === undefined)
      return skipped(`cwm serve generates one at its first start: ${path}, mode 0600`)
    return failed(
      `${dir} contains a store but no secret`,
      'restore the secret (the file or CWM_SECRET); without it, all stored KV is cold',
    )
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0)
    return failed(`${path} is readable by other users (mode ${mode.toString(8)})`, `chmod 600 ${path}`)
  return await checkSecretMatchesStore(settings, `${path}, mode ${mode.toString(8).padStart(4, '0')}`)
}

async function checkSecretMatchesStore(settings: Settings, where: string): Promise<Finding> {
  if (settings.store === 'sqlite' && (await modeOf(join(settings.data_dir, 'cwm.sqlite'))) === undefined)
    return ok(where)
  try {
    await (await openStore(settings, silentLogger)).close()
    return ok(`${where}; it matches the store`)
  } catch (thrown) {
    if (!(thrown instanceof CwmError)) throw thrown
    if (isInUse(thrown)) return ok(`${where}; a running cwm has the store open`)
    if (thrown.param === 'secret') return failed(thrown.message, 'restore the old secret, or choose another store')
    return skipped(`${where}; the store cannot be opened`)
  }
}

function isInUse({ cause, param }: CwmError): boolean {
  return param === 'data_dir' && cause instanceof Error && 'code' in cause && cause.code === 'SQLITE_BUSY'
}

/** Permission bits; undefined if the file does not exist. */
async function modeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ mode }) => mode & 0o777,
    () => undefined,
  )
}

async function checkWritable(dir: string): Promise<Finding> {
  for (let at = resolve(dir); ; at = dirname(at)) {
    if ((await modeOf(at)) === undefined) continue
    return await access(at, constants.W_OK | constants.X_OK).then(
      () => ok(`cwm serve creates it at its first start in ${dir}`),
      () => failed(`${dir} is not writable`, 'allow the user of cwm to write there, or choose another --data-dir'),
    )
  }
}
