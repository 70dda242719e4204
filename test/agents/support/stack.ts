// The stack for the agents: cwm with the simulator, or with a real engine if CWM_AGENTS_ENGINE is set.

import type { Settings } from '../../../src/config/schema.ts'
import { type Sim, startSim } from '../../../src/sim/index.ts'
import { type Hopped, startRecordingHop } from '../../support/recording-hop.ts'
import { rest } from '../../support/rest.ts'
import { startCwm } from '../../support/stack.ts'
import { type Prefill, readPrefill } from './prefill.ts'

/** Claude Code's first prompt has about 28,000 tokens, and it asks for 32,000 more. */
const LIMIT = 200_000

export const key = 'sk-agent-0123456789'

/** A real engine with room for an agent's prompt: `MAX_LEN=40000 MAX_OUTPUT=64 npm run engine:up`. */
export const realEngine = process.env.CWM_AGENTS_ENGINE

export interface AgentStack {
  readonly url: string
  readonly model: string
  /** Undefined with a real engine, whose output cannot be scripted. */
  readonly sim: Sim | undefined
  /** The turns that the engine has answered so far, the oldest first. */
  turns(): readonly Prefill[]
  /** The sessions of the agents' key, the most turns first. */
  sessions(): Promise<readonly AgentSession[]>
  close(): Promise<void>
}

export interface AgentSession {
  readonly id: string
  readonly turns: number
}

export async function startAgentStack(settings: Partial<Settings> = {}): Promise<AgentStack> {
  // With the render endpoints, as they are needed for windows of prompts that only these express.
  const sim =
    realEngine === undefined ? await startSim({ maxModelLen: LIMIT, eventFlushMs: 0, scaleOut: true }) : undefined
  const hop = await startRecordingHop(realEngine ?? sim?.engineUrl ?? '')
  const coordinator = sim?.coordinatorUrl ?? process.env.CWM_AGENTS_COORDINATOR
  const cwm = await startCwm(hop.url, { ...settings, ...(coordinator === undefined ? {} : { coordinator }) })
  return {
    url: cwm.url,
    model: sim?.model ?? process.env.CWM_AGENTS_MODEL ?? 'tiny',
    sim,
    turns: () => hop.passed.flatMap((passed) => turnIn(passed) ?? []),
    sessions: () => sessionsOf(cwm.url),
    close: async () => {
      await cwm.close()
      await hop.close()
      await sim?.close()
    },
  }
}

const TURN = /^\/v1\/(chat\/completions|responses|messages)(\?|$)/

const turnIn = ({ target, answer }: Hopped): Prefill | undefined =>
  TURN.test(target) ? readPrefill(answer.toString('utf8')) : undefined

async function sessionsOf(url: string): Promise<readonly AgentSession[]> {
  const headers = { authorization: `Bearer ${key}` }
  const { data } = await rest<{ data: AgentSession[] }>(url, 'GET', '/sessions', undefined, headers)
  return data.sort((a, b) => b.turns - a.turns)
}
