// Reads a request's credentials: from every header that is forwarded to the upstream as a credential, and from no other.

import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { CwmError } from './errors.ts'

/** The headers in which clients send a key (OpenAI's, Anthropic's, and Azure's), lower case. The forwarder uses the same list. */
export const credentialHeaders = ['authorization', 'x-api-key', 'api-key'] as const
type CredentialHeader = (typeof credentialHeaders)[number]

export interface Credentials {
  /** The API key, from `Authorization: Bearer`, `x-api-key`, or `api-key`. */
  readonly key: string | undefined
  /** The whole `Authorization` value if it has another scheme, such as a front proxy's Basic. It goes upstream, so it is part of the identity. */
  readonly otherScheme: string | undefined
}

const noCredentials: Credentials = { key: undefined, otherScheme: undefined }

/**
 * The credentials of a request; an empty value counts as none. Throws `INVALID_HEADER` if one of the headers is sent twice (Node would
 * read the first, the upstream perhaps the last), or if two different keys are sent, because the caller is then ambiguous.
 */
export function readCredentials({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): Credentials {
  let seen: [CredentialHeader, string][] | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = credentialHeaderOf(rawHeaders[i] ?? '')
    if (name === undefined) continue
    seen ??= []
    if (seen.some(([earlier]) => earlier === name))
      throw invalid(`the header ${name} is sent twice; send it once`, name)
    seen.push([name, rawHeaders[i + 1] ?? ''])
  }
  if (seen === undefined) return noCredentials
  let key: string | undefined
  let otherScheme: string | undefined
  let from: CredentialHeader | undefined
  for (const [name, value] of seen) {
    const sent = name === 'authorization' ? keyOfAuthorization(value) : value
    if (sent === undefined) otherScheme = value
    else if (sent !== '') {
      if (key !== undefined && key !== sent) {
        throw invalid(`two different API keys were sent, in ${from} and ${name}; send one`, name)
      }
      key = sent
      from = name
    }
  }
  return { key, otherScheme }
}

/** The key, or without one the value of another scheme. Throws as `readCredentials`. */
export function readApiKey(request: Pick<IncomingMessage, 'rawHeaders'>): string | undefined {
  const { key, otherScheme } = readCredentials(request)
  return key ?? otherScheme
}

/** Compares lengths first, because most headers are none of these. */
function credentialHeaderOf(raw: string): CredentialHeader | undefined {
  for (const name of credentialHeaders) {
    if (raw.length === name.length && raw.toLowerCase() === name) return name
  }
  return undefined
}

/** The key in a Bearer value or a value without a scheme, possibly empty; undefined for another scheme. */
function keyOfAuthorization(value: string): string | undefined {
  if (/^Bearer *$/i.test(value)) return ''
  const bearer = /^Bearer +(\S+) *$/i.exec(value)?.[1]
  return bearer ?? (/\s/.test(value) ? undefined : value)
}

function invalid(message: string, param: string): CwmError {
  return new CwmError('INVALID_HEADER', message, { param })
}

/**
 * The form in which the settings store a key: SHA-256, lower-case hex. Keys must be long and random, because a fast hash does not protect
 * weak ones.
 */
export function keyHash(apiKey: string): string {
  return createHash('sha256').update(apiKey).digest('hex')
}

/** A new key: 256 random bits with a prefix that scanners for leaked keys can recognize. */
export function makeKey(): string {
  return `cwm-${randomBytes(32).toString('base64url')}`
}

/** What a key's name may be. */
export const keyNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
export const keyNameRule = '1 to 64 letters, digits, or ._-, and begin with a letter or digit'
