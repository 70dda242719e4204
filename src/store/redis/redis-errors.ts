// What goes wrong with Redis, in words for an operator. Redis quotes keys and arguments in its messages, and these hold ids and
// content: only the first word of a refusal, or the code of a socket's error, gets out.

import { CwmError } from '../../base/errors.ts'

/** Refusals that have a cause outside cwm, by the first word of Redis' answer. */
const refusals: Readonly<Record<string, string>> = {
  OOM: 'it is out of memory (maxmemory)',
  MISCONF: 'it cannot write its own snapshots or log, and takes no writes until it can',
  READONLY: 'it is a replica now and takes no writes',
  LOADING: 'it is still loading its data',
  MASTERDOWN: 'it is a replica without its master',
  CLUSTERDOWN: 'its cluster is down',
  BUSY: 'it is busy with a script',
  NOPERM: 'its user may not do what cwm needs',
  NOAUTH: 'it demands a password',
  WRONGPASS: 'it does not know this user and password',
}

const settings = new Set(['NOAUTH', 'WRONGPASS'])

/** `cause`: cwm's own, never Redis' words. */
export function storeUnavailable(why: string, cause?: unknown): CwmError {
  return new CwmError('STORE_UNAVAILABLE', `the Redis store cannot be read or written: ${why}`, { cause })
}

/** What to say of a failed call. Refused credentials are `CONFIG`, all else `STORE_UNAVAILABLE`. */
export function describeFailure(thrown: unknown): CwmError {
  if (thrown instanceof CwmError) return thrown
  const word = refusal(thrown)
  if (word !== undefined) {
    const why = refusals[word] ?? `it refused a command (${word})`
    return settings.has(word)
      ? new CwmError('CONFIG', `Redis turned cwm away: ${why}; put both into the store's URL`)
      : storeUnavailable(why)
  }
  const code = thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
  return storeUnavailable(code === undefined ? 'it is not connected' : `no connection (${code})`)
}

/** The first word of Redis' own answer; undefined for anything else that went wrong. */
export function refusal(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || thrown.name !== 'ReplyError') return undefined
  return /^[A-Z]+/.exec(thrown.message)?.[0] ?? 'ERR'
}
