// The result of a check, and what to do about it.

/** `skipped`: the check does not apply, or something that it depends on failed. It never counts as passed. */
export type Verdict = 'ok' | 'warning' | 'failed' | 'skipped'

export interface Finding {
  readonly verdict: Verdict
  /** What was observed, with figures. Contains no secrets, salts, or keys. */
  readonly evidence: string
  /** How to fix it: which flag of which process. */
  readonly remedy?: string
}

export const ok = (evidence: string): Finding => ({ verdict: 'ok', evidence })
export const warning = (evidence: string, remedy: string): Finding => ({ verdict: 'warning', evidence, remedy })
export const failed = (evidence: string, remedy: string): Finding => ({ verdict: 'failed', evidence, remedy })
export const skipped = (evidence: string): Finding => ({ verdict: 'skipped', evidence })
