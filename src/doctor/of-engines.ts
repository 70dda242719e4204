// Asks all engines the same, and compares what they say.

import type { Facts } from './facts.ts'

export interface OfEngine<T> {
  /** The engine's host and port. */
  readonly name: string
  readonly value: T
}

/** Whether there are several engines to compare. */
export const isFleet = ({ all }: Facts): boolean => all.length > 1

/**
 * What each engine says. `silent` names those that have no answer, for the end of a sentence: why they have none is told by the checks of
 * each engine.
 */
export async function askAll<T>(
  { all }: Facts,
  find: (facts: Facts) => Promise<T | undefined>,
): Promise<{ readonly told: readonly OfEngine<T>[]; readonly silent: string }> {
  const answers = await Promise.all(
    all.map(async (facts) => ({ name: facts.engine.name, value: await find(facts).catch(() => undefined) })),
  )
  const told = answers.flatMap(({ name, value }) => (value === undefined ? [] : [{ name, value }]))
  const names = answers.filter(({ value }) => value === undefined).map(({ name }) => name)
  return { told, silent: names.length === 0 ? '' : ` (unknown: ${names.join(', ')})` }
}

/** Whether two engines say different things. */
export function unlike(told: readonly OfEngine<string>[]): boolean {
  return new Set(told.map(({ value }) => value)).size > 1
}

export function tellEach(told: readonly OfEngine<string>[]): string {
  return told.map(({ name, value }) => `${value} at ${name}`).join(', ')
}
