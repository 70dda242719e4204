// cwm with the built-in list of several simulated engines.

import type { Settings } from '../../src/config/schema.ts'
import { type LoggedRequest, type Sim, type SimEngine, type SimOptions, startSim } from '../../src/sim/index.ts'
import { type ChatTurn, chat, user } from './conversation.ts'
import { type Cwm, startCwm } from './stack.ts'

export interface ListStack extends Cwm {
  readonly sim: Sim
  /** The turns that an engine has seen, oldest first. */
  turnsAt(engine: SimEngine): readonly LoggedRequest[]
}

/** What a cwm before all engines of a simulated stack needs. Engines that are back have their full weight at once. */
export function listSettings(sim: Sim): Partial<Settings> {
  return {
    upstream: sim.engines.map(({ url, instanceId }) => ({
      url,
      weight: 1,
      drain: false,
      lmcache_instance: instanceId,
    })),
    coordinator: sim.coordinatorUrl,
    engine_health_interval_ms: 100,
    engine_slow_start_ms: 0,
  }
}

/** Three engines unless told otherwise. */
export async function startList(options: SimOptions = {}, settings: Partial<Settings> = {}): Promise<ListStack> {
  const sim = await startSim({ eventFlushMs: 0, engines: 3, ...options })
  const cwm = await startCwm(sim.engineUrl, { ...listSettings(sim), ...settings })
  return {
    ...cwm,
    get url() {
      return cwm.url
    },
    get findings() {
      return cwm.findings
    },
    sim,
    turnsAt: (engine) => turnsAt(sim, engine),
    close: async () => {
      await cwm.close()
      await sim.close()
    },
  }
}

export function turnsAt(sim: Sim, { name }: SimEngine): readonly LoggedRequest[] {
  return sim.requests.all(name).filter(({ path }) => path === '/v1/chat/completions')
}

/** A chat of a client that names nothing: each turn sends the whole history. */
export class UnnamedChat {
  #messages: readonly unknown[]

  constructor(opening: string) {
    this.#messages = [user(opening)]
  }

  get messages(): readonly unknown[] {
    return this.#messages
  }

  /** Sends the next turn to this cwm. Throws unless the status is 200. */
  async turn(url: string): Promise<ChatTurn> {
    const turn = await chat(url, this.#messages)
    this.#messages = [...this.#messages, turn.reply, user('and then?')]
    return turn
  }
}
