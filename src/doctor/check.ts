// What a check is: a claim about the deployment, and the live proof of it.

import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

export interface Check {
  /** Stable, for programs. */
  readonly id: string
  readonly title: string
  /** What a green line means. */
  readonly proves: string
  /** Throws a CwmError where it cannot find out; the runner words it. */
  run(facts: Facts): Promise<Finding> | Finding
}
