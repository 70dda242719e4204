// `cwm key`: a new API key for a tenant, and the hash by which the settings know it. The key itself is stored nowhere.

import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { keyHash } from '../base/auth.ts'
import { UsageError } from './client/rest.ts'

/** 256 random bits behind a prefix that scanners for leaked keys can look for. */
export function makeKey(): string {
  return `cwm-${randomBytes(32).toString('base64url')}`
}

/** The entry of a key in the settings file. */
export function keyEntry(name: string, apiKey: string): string {
  return `- { name: ${name}, sha256: ${keyHash(apiKey)} }`
}

/**
 * Prints a new key on standard output and its entry on standard error, so that either can be piped on; with `fromInput`, only the entry
 * of the key on standard input, on standard output. Throws `UsageError` when there is no key on it, and for a name that the settings would refuse.
 */
export async function runKey(name: string, fromInput: boolean): Promise<void> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new UsageError("a key's name is a letter or digit, then up to 63 letters, digits and ._-")
  }
  if (fromInput) {
    const apiKey = (await text(process.stdin)).trim()
    if (!/^\S{16,}$/.test(apiKey)) {
      throw new UsageError('give a key of 16 characters or more, without blanks, on standard input')
    }
    console.log(keyEntry(name, apiKey))
    return
  }
  const apiKey = makeKey()
  console.log(apiKey)
  console.error(`\nGive this key to the tenant; it is stored nowhere. Among the tenant's keys in the settings file:`)
  console.error(keyEntry(name, apiKey))
}
