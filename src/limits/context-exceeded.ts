// The error for a turn that does not fit, in the wording that SDKs and agents recognize.

import { CwmError } from '../base/errors.ts'
import type { DialectRules, Overflow } from '../dialects/dialect.ts'

export interface ExceededContext extends Overflow {
  readonly rules: Pick<DialectRules, 'errors'>
  /** The session's newest window, if there is one. */
  readonly window: string | undefined
  /** Why the turn is rejected although the policy is to cut. */
  readonly because?: string
}

/** `CONTEXT_LENGTH_EXCEEDED`. The message starts with the dialect's own wording. */
export function contextExceeded(overflow: ExceededContext): CwmError {
  const { rules, window, because } = overflow
  const { errors } = rules
  const words = [
    errors.contextExceeded(overflow),
    ...(because === undefined ? [] : [because]),
    ...(window === undefined ? [] : [`Its newest window is ${window}.`]),
  ]
  const param = errors.contextParam
  return new CwmError('CONTEXT_LENGTH_EXCEEDED', words.join(' '), param === undefined ? {} : { param })
}
