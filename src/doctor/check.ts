// A check: a claim about the deployment, and how to prove it live.

import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

export interface Check {
  /** Stable id, for programs. */
  readonly id: string
  readonly title: string
  /** What a passed check means. */
  readonly proves: string
  /**
   * `each`: about one engine. It runs on all engines at the same time, and one line shows all findings. Default: about the deployment, so it
   * runs once.
   */
  readonly scope?: 'each'
  /** Whether the check concerns this deployment at all; otherwise it is not mentioned. Never throws. Default: it does. */
  applies?(facts: Facts): Promise<boolean> | boolean
  /** Whether the check removes what others have stored: then it runs even if no time is left. Default: no. */
  readonly cleansUp?: boolean
  /** Throws a CwmError if it cannot find out; the runner turns that into a finding. */
  run(facts: Facts): Promise<Finding> | Finding
}
