// What REST says of windows, sessions and pins, as tests look at it.

import type { Sim } from '../../src/sim/index.ts'
import { ask, type Got, jsonOf } from './client.ts'
import { until } from './deadline.ts'

export interface WindowJson {
  readonly name: string
  readonly state: 'pending' | 'freezing' | 'frozen' | 'failed'
  readonly reason?: string
  readonly session_id?: string
  readonly parent?: string
  readonly dialect?: string
  readonly messages?: number
  readonly receipt?: {
    readonly durability: string
    readonly tokens: number
    readonly chunks: number
    readonly restorable_tokens: number
    readonly pinned: boolean
    readonly cached_tokens: number | null
    readonly computed_tokens: number | null
    readonly warnings: readonly string[]
    readonly notes?: readonly string[]
  }
}

export interface ThawJson {
  readonly window: string
  readonly session_id: string
  readonly tokens: number
  readonly restored_tokens: number | null
  readonly recomputed_tokens: number | null
  readonly drift: boolean
  readonly tiers_before: { readonly total: number; readonly l1: number | null; readonly l2: number | null }
  readonly warnings: readonly string[]
  readonly notes?: readonly string[]
}

/** The window once it is frozen or failed. */
export async function settled(url: string, name: string, headers: Record<string, string> = {}): Promise<WindowJson> {
  return await until(`window ${name} is settled`, async () => {
    const got = await ask(url, `/cwm/v1/windows/${name}?wait_ms=5000`, { headers })
    if (got.status !== 200) throw new Error(`window ${name}: ${got.status} ${got.text}`)
    const window = jsonOf<WindowJson>(got)
    return window.state === 'frozen' || window.state === 'failed' ? window : undefined
  })
}

export function thawByRest(url: string, name: string, body: object = {}): Promise<Got> {
  return ask(url, `/cwm/v1/windows/${name}/thaw`, { body })
}

/** The receipt of the last thaw into a session. */
export async function thawOf(url: string, session: string): Promise<ThawJson | undefined> {
  return jsonOf<{ thaw?: ThawJson }>(await ask(url, `/cwm/v1/sessions/${session}`)).thaw
}

/** How many pins the coordinator counts, over all keys. */
export async function pinsHeld(sim: Sim): Promise<number> {
  const { pins } = jsonOf<{ pins: readonly { readonly pin_count?: number; readonly count?: number }[] }>(
    await ask(sim.coordinatorUrl, '/cache/pins'),
  )
  return pins.reduce((sum, pin) => sum + (pin.pin_count ?? pin.count ?? 1), 0)
}
