// Formats a diagnosis: lines for a terminal, and a report to keep for audits.

import type { CheckResult, Diagnosis } from './doctor.ts'

export interface ReportHead {
  readonly version: string
  /** ISO 8601. */
  readonly at: string
  /** Without credentials. */
  readonly addresses: Readonly<Record<string, string>>
}

export type Style = (style: 'green' | 'yellow' | 'red' | 'dim' | 'bold', text: string) => string

const marks = { ok: 'ok', warning: 'warning', failed: 'FAILED', skipped: 'skipped' } as const
const colors = { ok: 'green', warning: 'yellow', failed: 'red', skipped: 'dim' } as const
const WIDTH = 8

export function formatResult({ verdict, title, evidence, remedy }: CheckResult, style: Style): string[] {
  const indent = ' '.repeat(WIDTH)
  return [
    `${style(colors[verdict], marks[verdict].padEnd(WIDTH))}${style('bold', title)}`,
    `${indent}${style('dim', evidence)}`,
    ...(remedy === undefined ? [] : [`${indent}→ ${remedy}`]),
  ]
}

export function formatSummary({ checks, ms }: Diagnosis): string {
  const count = (verdict: CheckResult['verdict']) => checks.filter((check) => check.verdict === verdict).length
  return `${count('ok')} ok, ${count('warning')} warnings, ${count('failed')} failed, ${count('skipped')} skipped, in ${(ms / 1_000).toFixed(1)} s`
}

/** Formats a report in Markdown, with the evidence for each claim. */
export function formatReport({ version, at, addresses }: ReportHead, diagnosis: Diagnosis): string {
  const cell = (text: string) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')
  return [
    '# cwm doctor',
    '',
    `${at}, cwm ${version}: **${marks[diagnosis.verdict]}** (${formatSummary(diagnosis)})`,
    '',
    ...Object.entries(addresses).map(([what, address]) => `- ${what}: ${address}`),
    '',
    '| | Claim | Evidence | Remedy |',
    '|---|---|---|---|',
    ...diagnosis.checks.map(
      ({ verdict, title, proves, evidence, remedy }) =>
        `| ${marks[verdict]} | **${cell(title)}**: ${cell(proves)} | ${cell(evidence)} | ${cell(remedy ?? '')} |`,
    ),
    '',
  ].join('\n')
}
