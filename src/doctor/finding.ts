// What is found of a claim, and what to do about it.

/** `skipped`: it does not apply here, or what it stands on has failed. Never counted as well. */
export type Verdict = 'ok' | 'warning' | 'failed' | 'skipped'

export interface Finding {
  readonly verdict: Verdict
  /** What was seen, with its numbers. Holds no secret, no salt, no key. */
  readonly evidence: string
  /** What to do: which flag on which process. */
  readonly remedy?: string
}

export const ok = (evidence: string): Finding => ({ verdict: 'ok', evidence })
export const warning = (evidence: string, remedy: string): Finding => ({ verdict: 'warning', evidence, remedy })
export const failed = (evidence: string, remedy: string): Finding => ({ verdict: 'failed', evidence, remedy })
export const skipped = (evidence: string): Finding => ({ verdict: 'skipped', evidence })
