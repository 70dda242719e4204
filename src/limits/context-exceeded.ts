// The refusal of a turn that does not fit, in the words by which SDKs and agents know it.

import { CwmError } from '../base/errors.ts'
import type { DialectRules, Overflow } from '../dialects/dialect.ts'

export interface ExceededContext extends Overflow {
  readonly rules: Pick<DialectRules, 'errors'>
  /** The newest window of the session, if there is one. */
  readonly window: string | undefined
  /** Why it is refused though the policy is to cut. */
  readonly because?: string
}

/** `CONTEXT_LENGTH_EXCEEDED`. Its message begins with the dialect's own words. */
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
