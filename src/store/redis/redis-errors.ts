// Redis errors as messages for an operator. Redis' own messages quote keys and arguments, which contain ids and content. So only the first
// word of an error reply, or the code of a socket error, is shown.

import { CwmError } from '../../base/errors.ts'

/** Error replies with a cause outside cwm, by the first word of the reply. */
const knownReplies: Readonly<Record<string, string>> = {
  OOM: 'it is out of memory (maxmemory)',
  MISCONF: 'it cannot write its own snapshots or log, and rejects writes until it can',
  READONLY: 'it is now a replica and rejects writes',
  LOADING: 'it is still loading its data',
  MASTERDOWN: 'it is a replica without its master',
  CLUSTERDOWN: 'its cluster is down',
  BUSY: 'it is busy with a script',
  NOPERM: 'its user lacks permissions that cwm needs',
  NOAUTH: 'it requires a password',
  WRONGPASS: 'it rejects this user and password',
}

const settings = new Set(['NOAUTH', 'WRONGPASS'])

/** `cause`: an error of cwm, never Redis' message. */
export function storeUnavailable(why: string, cause?: unknown): CwmError {
  return new CwmError('STORE_UNAVAILABLE', `the Redis store cannot be read or written: ${why}`, { cause })
}

/** The error for a failed call: `CONFIG` for rejected credentials, otherwise `STORE_UNAVAILABLE`. */
export function describeFailure(thrown: unknown): CwmError {
  if (thrown instanceof CwmError) return thrown
  const word = errorReplyOf(thrown)
  if (word !== undefined) {
    const why = knownReplies[word] ?? `it rejected a command (${word})`
    return settings.has(word)
      ? new CwmError('CONFIG', `Redis rejected the connection: ${why}; set user and password in the store's URL`)
      : storeUnavailable(why)
  }
  const code = thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
  return storeUnavailable(code === undefined ? 'it is not connected' : `no connection (${code})`)
}

/** The first word of Redis' error reply; undefined for other errors. */
export function errorReplyOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || thrown.name !== 'ReplyError') return undefined
  return /^[A-Z]+/.exec(thrown.message)?.[0] ?? 'ERR'
}
