// Opens secret and store together. The store contains a check value of the secret, so that startup fails with a wrong secret instead of
// making everything cold.

import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CwmError } from '../base/errors.ts'
import type { Logger } from '../base/logger.ts'
import type { Settings } from '../config/schema.ts'
import { Sealer } from '../store/seal.ts'
import { type DataDirLock, lockDataDir } from '../store/sqlite/data-dir-lock.ts'
import { openSqliteStore } from '../store/sqlite/sqlite.ts'
import type { Store } from '../store/store.ts'
import { KeyDeriver } from '../tenants/salt.ts'
import { loadSecret } from '../tenants/secret.ts'

export interface OpenedStore {
  readonly store: Store
  readonly deriver: KeyDeriver
  /** Startup message: where the store is, and where the secret came from. */
  readonly finding: string
  close(): Promise<void>
}

/** Throws `CONFIG` with instructions for problems that an operator must fix. */
export async function openStore(settings: Settings, log: Logger): Promise<OpenedStore> {
  await makeDataDir(settings.data_dir)
  const sealer = sealerOf(settings)
  if (settings.store !== 'sqlite') return await openShared(settings, settings.store, sealer, log)
  const lock = await lockDataDir(settings.data_dir)
  return await openOwn(settings, sealer, log, lock).catch(closing(() => lock.release()))
}

async function openOwn(
  settings: Settings,
  sealer: Sealer | undefined,
  log: Logger,
  lock: DataDirLock,
): Promise<OpenedStore> {
  const path = join(settings.data_dir, 'cwm.sqlite')
  requireSecretOf(path, settings)
  const { secret, from } = await loadSecret(settings.secret, settings.data_dir)
  const deriver = new KeyDeriver(secret)
  const store = await openSqliteStore({ path, log, soleWriter: true, ...(sealer === undefined ? {} : { sealer }) })
  await checkSecret(store, deriver, path).catch(closing(() => store.close()))
  const close = async () => {
    await store.close()
    await lock.release()
  }
  return { store, deriver, finding: `store     ${path}${sealed(sealer)}; secret from ${from}`, close }
}

async function openShared(
  settings: Settings,
  url: string,
  sealer: Sealer | undefined,
  log: Logger,
): Promise<OpenedStore> {
  if (settings.secret === undefined) {
    throw new CwmError('CONFIG', 'a Redis store is shared by several proxies, so the secret must be set (CWM_SECRET)', {
      param: 'secret',
    })
  }
  const deriver = new KeyDeriver((await loadSecret(settings.secret, settings.data_dir)).secret)
  // Loaded on demand, because its client takes 20 MB.
  const { openRedisStore } = await import('../store/redis/redis.ts')
  const store = await openRedisStore({ url, log, ...(sealer === undefined ? {} : { sealer }) })
  await checkSecret(store, deriver, 'the Redis store').catch(closing(() => store.close()))
  const { host } = new URL(url)
  const finding = `store     Redis at ${host}${sealed(sealer)}; secret from CWM_SECRET`
  return { store, deriver, finding, close: () => store.close() }
}

function sealed(sealer: Sealer | undefined): string {
  return sealer === undefined ? '' : ', messages and ids encrypted'
}

function sealerOf({ encryption_key: key, encryption_keys_old: older }: Settings): Sealer | undefined {
  return key === undefined ? undefined : new Sealer(keyBytes(key), older.map(keyBytes))
}

/** Decodes a key that is hex, or base64 of either alphabet. The settings have validated it. */
function keyBytes(text: string): Uint8Array {
  return Buffer.from(text, text.length === 64 ? 'hex' : 'base64')
}

function requireSecretOf(path: string, { secret, data_dir }: Settings): void {
  if (secret !== undefined || !existsSync(path) || existsSync(join(data_dir, 'secret'))) return
  throw new CwmError(
    'CONFIG',
    `${data_dir} contains a store but no secret: restore the secret (the file "secret", or CWM_SECRET), or choose another data_dir`,
    { param: 'secret' },
  )
}

async function checkSecret(store: Store, deriver: KeyDeriver, where: string): Promise<void> {
  if ((await store.claimMeta('secret_check', deriver.checkValue())) === deriver.checkValue()) return
  throw new CwmError(
    'CONFIG',
    `the secret does not match ${where}: all its sessions and windows would be cold. Restore the old secret (CWM_SECRET, or the file "secret"), or choose another store`,
    { param: 'secret' },
  )
}

function closing(close: () => Promise<void>): (error: unknown) => Promise<never> {
  return async (error) => {
    await close()
    throw error
  }
}

async function makeDataDir(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new CwmError('CONFIG', `cannot create the data directory ${path}`, { param: 'data_dir', cause })
  }
}
