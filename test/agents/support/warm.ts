// What every agent is held to: its second process goes on in the session of the first, from what is cached.

import { expect } from 'vitest'
import { type AgentStack, realEngine } from './stack.ts'

/** The second turn's own words and the engine's last block are computed: far below a tenth of an agent's prompt. */
const WARM = 0.9

/** Runs both processes. The second prompt must be cached, in the one session that has several turns; prints the figures. */
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
  // Sessions of one turn are side requests, for a title and the like.
  expect(sessions.filter(({ turns }) => turns > 1)).toHaveLength(1)
  if (realEngine === undefined) expect(out).toContain('Lomvi')
}

/** Holds that more than a share of a turn's prompt was cached, and prints how much. */
export function expectCached(label: string, stack: AgentStack, turn: number, share: number): void {
  const { prompt = 0, cached = 0 } = stack.turns()[turn] ?? {}
  console.log(`${label}: ${cached} of ${prompt} tokens cached`)
  expect(prompt).toBeGreaterThan(0)
  expect(cached / prompt).toBeGreaterThan(share)
}
