// `cwm key`: generates an API key for a tenant, and the hash for the settings. The key itself is not stored anywhere.

import { text } from 'node:stream/consumers'
import { keyHash, keyNamePattern, keyNameRule, makeKey } from '../base/auth.ts'
import { UsageError } from './client/rest.ts'

/** The entry for a key in the settings file. */
export function keyEntry(name: string, apiKey: string): string {
  return `- { name: ${name}, sha256: ${keyHash(apiKey)} }`
}

/**
 * Prints a new key to standard output and its entry to standard error, so that either can be piped. With `fromInput`, reads a key from
 * standard input and prints only its entry. Throws `UsageError` without a valid key, and for a name that the settings would reject.
 */
export async function runKey(name: string, fromInput: boolean): Promise<void> {
  if (!keyNamePattern.test(name)) throw new UsageError(`the name of a key must be ${keyNameRule}`)
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
