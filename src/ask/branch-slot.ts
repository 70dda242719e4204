// The slot of admission of one branch: the question itself takes none, and each of its calls to an engine takes one from the
// tenant's share (docs/decisions/0018).

import type { Admission } from '../admission/admission.ts'
import { type CwmError, clientGone, toCwmError } from '../base/errors.ts'
import { RequestScope } from '../base/request-scope.ts'
import type { Caller } from '../base/tenants.ts'
import { RateLimited } from '../rate-limits/rate-charge.ts'

/** Gives up if the tenant's other requests hold all slots for longer. Each try waits as long as the queue allows (setting `queue_ms`). */
const MAX_TRIES = 20

/** Stands in for a response: a branch has none. */
const unanswered = { destroyed: false, writableFinished: false }

/**
 * Runs work in its own slot. If the tenant's queue or rate limit rejects it, tries again after the rejection's `Retry-After`: the question
 * itself was admitted long ago, and its client cannot send this part of it again. Throws what the last try threw, what the work throws, and
 * `CLIENT_GONE`.
 */
export async function runInSlot<T>(
  admission: Pick<Admission, 'run'>,
  sender: Pick<Caller, 'sharer' | 'policy'>,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    let begun = false
    const begin = () => {
      begun = true
      return work()
    }
    try {
      return await runOnce(admission, sender, signal, begin)
    } catch (thrown) {
      const error = toCwmError(thrown)
      const hasBegun = begun && !(error instanceof RateLimited)
      const waitS = hasBegun || !isRejection(error) || tries === MAX_TRIES ? undefined : error.retryAfterS
      if (waitS === undefined) throw thrown
      await wait(waitS * 1_000, signal)
    }
  }
}

async function runOnce<T>(
  admission: Pick<Admission, 'run'>,
  sender: Pick<Caller, 'sharer' | 'policy'>,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const scope = new RequestScope(unanswered)
  const leave = () => scope.close()
  signal.addEventListener('abort', leave, { once: true })
  if (signal.aborted) leave()
  try {
    return await admission.run(sender, scope, work)
  } finally {
    signal.removeEventListener('abort', leave)
    scope.close()
  }
}

function isRejection({ code }: CwmError): boolean {
  return code === 'RATE_LIMIT_EXCEEDED' || code === 'OVERLOADED'
}

/** Rejects with `CLIENT_GONE` on abort. Uses `setTimeout`, which tests can fake, unlike node:timers/promises. */
function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(clientGone('its question was answered'))
    const leave = () => {
      clearTimeout(timer)
      reject(clientGone('its question was answered'))
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', leave)
      resolve()
    }, ms)
    signal.addEventListener('abort', leave, { once: true })
  })
}
