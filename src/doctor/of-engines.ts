// Asks all engines the same question, and compares their answers.

import type { Facts } from './facts.ts'

export interface OfEngine<T> {
  /** The engine's host and port. */
  readonly name: string
  readonly value: T
}

/** Whether there are several engines to compare. */
export const isFleet = ({ all }: Facts): boolean => all.length > 1

/**
 * The answer of each engine. `unanswered` names those without an answer, as the end of a sentence. The checks of each engine report why.
 */
export async function askAll<T>(
  { all }: Facts,
  find: (facts: Facts) => Promise<T | undefined>,
): Promise<{ readonly answers: readonly OfEngine<T>[]; readonly unanswered: string }> {
  const asked = await Promise.all(
    all.map(async (facts) => ({ name: facts.engine.name, value: await find(facts).catch(() => undefined) })),
  )
  const answers = asked.flatMap(({ name, value }) => (value === undefined ? [] : [{ name, value }]))
  const names = asked.filter(({ value }) => value === undefined).map(({ name }) => name)
  return { answers, unanswered: names.length === 0 ? '' : ` (unknown: ${names.join(', ')})` }
}

/** Whether the answers differ. */
export function differ(answers: readonly OfEngine<string>[]): boolean {
  return new Set(answers.map(({ value }) => value)).size > 1
}

export function listAnswers(answers: readonly OfEngine<string>[]): string {
  return answers.map(({ name, value }) => `${value} at ${name}`).join(', ')
}
