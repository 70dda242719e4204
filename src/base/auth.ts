// By which credentials a request is sent: every header that goes on to the upstream as a credential is read here, and no other.

import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { CwmError } from './errors.ts'

/** By which clients send a key, lower case: OpenAI's, Anthropic's and Azure's way. The forwarder takes the same list. */
export const credentialHeaders = ['authorization', 'x-api-key', 'api-key'] as const
type CredentialHeader = (typeof credentialHeaders)[number]

export interface Credentials {
  /** The API key: of `Authorization: Bearer`, of `x-api-key` or of `api-key`. */
  readonly key: string | undefined
  /** An `Authorization` of another scheme (a front proxy's Basic, say), whole. It goes upstream, so it is part of who asks. */
  readonly otherScheme: string | undefined
}

const noCredentials: Credentials = { key: undefined, otherScheme: undefined }

/**
 * The credentials of a request; an empty value is none. Throws `INVALID_HEADER` when one of the headers is there twice (Node would
 * read the first, the upstream perhaps the last), and when two different keys are sent: nobody can say who asks.
 */
export function readCredentials({ rawHeaders }: Pick<IncomingMessage, 'rawHeaders'>): Credentials {
  let seen: Map<CredentialHeader, string> | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = credentialHeaderOf(rawHeaders[i] ?? '')
    if (name === undefined) continue
    seen ??= new Map()
    if (seen.has(name)) throw invalid(`${name} is there twice; send one`, name)
    seen.set(name, rawHeaders[i + 1] ?? '')
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

/** One text by which somebody is known, where only one is wanted: the key, else what another scheme says. */
export function readApiKey(request: Pick<IncomingMessage, 'rawHeaders'>): string | undefined {
  const { key, otherScheme } = readCredentials(request)
  return key ?? otherScheme
}

/** The lengths are compared first: most headers of a request are none of these. */
function credentialHeaderOf(raw: string): CredentialHeader | undefined {
  for (const name of credentialHeaders) {
    if (raw.length === name.length && raw.toLowerCase() === name) return name
  }
  return undefined
}

/** The key of a Bearer, or of a value without a scheme; empty where there is none; undefined for another scheme. */
function keyOfAuthorization(value: string): string | undefined {
  if (/^Bearer *$/i.test(value)) return ''
  const bearer = /^Bearer +(\S+) *$/i.exec(value)?.[1]
  return bearer ?? (/\s/.test(value) ? undefined : value)
}

function invalid(message: string, param: string): CwmError {
  return new CwmError('INVALID_HEADER', message, { param })
}

/** How the settings know a key: SHA-256, lower-case hex. A key must be random and long, for this hides no weak one. */
export function keyHash(apiKey: string): string {
  return createHash('sha256').update(apiKey).digest('hex')
}
