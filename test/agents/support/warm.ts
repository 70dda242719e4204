// The requirement for every agent: its second process continues the session of the first, from the cache.

import { expect } from 'vitest'
import { type AgentStack, realEngine } from './stack.ts'

/** Only the second turn's own text and the engine's last block are computed: much less than a tenth of an agent's prompt. */
const WARM = 0.9

/** Runs both processes. The second prompt must be cached, in the only session with several turns. Prints the figures. */
export async function expectWarmSecond(
  stack: AgentStack,
  first: () => Promise<unknown>,
  second: () => Promise<{ readonly out: string }>,
): Promise<void> {
  await first()
  const before = stack.turns().length

  const { out } = await second()

  expectCached('second process', stack, before, WARM)
  const sessions = await stack.sessions()
  // Sessions with one turn are side requests, for example for a title.
  expect(sessions.filter(({ turns }) => turns > 1)).toHaveLength(1)
  if (realEngine === undefined) expect(out).toContain('Lomvi')
}

/** Asserts that more than a share of a turn's prompt was cached, and prints how much. */
export function expectCached(label: string, stack: AgentStack, turn: number, share: number): void {
  const { prompt = 0, cached = 0 } = stack.turns()[turn] ?? {}
  console.log(`${label}: ${cached} of ${prompt} tokens cached`)
  expect(prompt).toBeGreaterThan(0)
  expect(cached / prompt).toBeGreaterThan(share)
}
