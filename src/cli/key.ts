// `cwm key`: generates an API key for a tenant, and the hash for the settings. The key itself is not stored anywhere.

import { randomBytes } from 'node:crypto'
import { text } from 'node:stream/consumers'
import { keyHash } from '../base/auth.ts'
import { UsageError } from './client/rest.ts'

/** 256 random bits with a prefix that scanners for leaked keys can recognize. */
export function makeKey(): string {
  return `cwm-${randomBytes(32).toString('base64url')}`
}

/** The entry for a key in the settings file. */
export function keyEntry(name: string, apiKey: string): string {
  return `- { name: ${name}, sha256: ${keyHash(apiKey)} }`
}

/**
 * Prints a new key to standard output and its entry to standard error, so that either can be piped. With `fromInput`, reads a key from
 * standard input and prints only its entry. Throws `UsageError` without a valid key, and for a name that the settings would reject.
 */
export async function runKey(name: string, fromInput: boolean): Promise<void> {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) {
    throw new UsageError(
      'the name of a key must start with a letter or digit, followed by up to 63 letters, digits, and ._-',
    )
  }
  if (fromInput) {
    const apiKey = (await text(process.stdin)).trim()
    if (!/^\S{16,}$/.test(apiKey)) {
      throw new UsageError('the key on standard input must have 16 characters or more, and no spaces')
    }
    console.log(keyEntry(name, apiKey))
    return
  }
  const apiKey = makeKey()
  console.log(apiKey)
  console.error(
    `\nGive this key to the tenant; cwm does not store it. Add this entry to the tenant's keys in the settings file:`,
  )
  console.error(keyEntry(name, apiKey))
}
