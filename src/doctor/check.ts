// A check: a claim about the deployment, and how to prove it live.

import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

export interface Check {
  /** Stable id, for programs. */
  readonly id: string
  readonly title: string
  /** What a passed check means. */
  readonly proves: string
  /** Throws a CwmError if it cannot find out; the runner turns that into a finding. */
  run(facts: Facts): Promise<Finding> | Finding
}
