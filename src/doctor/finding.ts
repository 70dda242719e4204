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

/** `skipped` ranks above `ok`: what is not proved for one engine is not proved for all. */
const order: readonly Verdict[] = ['failed', 'warning', 'skipped', 'ok']

/** Merges the findings of several engines, named by host and port: the worst verdict, with the evidence of each. A single finding is unchanged. */
export function mergeFindings(findings: readonly { readonly name: string; readonly finding: Finding }[]): Finding {
  const [first] = findings
  if (first === undefined) return skipped('there is no engine')
  const verdict = order.find((wanted) => findings.some(({ finding }) => finding.verdict === wanted)) ?? 'skipped'
  const evidence = joinWords(findings.map(({ name, finding }) => ({ name, words: finding.evidence })))
  const remedies = findings.flatMap(({ name, finding: { remedy } }) =>
    remedy === undefined ? [] : [{ name, words: remedy }],
  )
  if (remedies.length === 0) return { verdict, evidence }
  return { verdict, evidence, remedy: [...new Set(remedies.map(({ words }) => words))].join('; ') }
}

/** Each engine's words; those that several engines share, once. */
function joinWords(all: readonly { readonly name: string; readonly words: string }[]): string {
  if (all.length === 1) return all[0]?.words ?? ''
  const groups = new Map<string, string[]>()
  for (const { name, words } of all) groups.set(words, [...(groups.get(words) ?? []), name])
  if (groups.size === 1) return `all ${all.length} engines: ${all[0]?.words}`
  return [...groups].map(([words, names]) => `${names.join(', ')}: ${words}`).join('; ')
}
