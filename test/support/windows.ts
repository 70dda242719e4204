// Reads windows, sessions, and pins for tests.

import type { Sim } from '../../src/sim/index.ts'
import type { ThawReceiptJson } from '../../src/wire/receipts.ts'
import type { SessionJson } from '../../src/wire/sessions.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import { ask, type Got, jsonOf } from './client.ts'
import { until } from './deadline.ts'

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
export async function thawOf(url: string, session: string): Promise<ThawReceiptJson | undefined> {
  return jsonOf<SessionJson>(await ask(url, `/cwm/v1/sessions/${session}`)).thaw
}

/** How many pins the coordinator counts, over all keys. */
export async function pinsHeld(sim: Sim): Promise<number> {
  const { pins } = jsonOf<{ pins: readonly { readonly pin_count?: number; readonly count?: number }[] }>(
    await ask(sim.coordinatorUrl, '/cache/pins'),
  )
  return pins.reduce((sum, pin) => sum + (pin.pin_count ?? pin.count ?? 1), 0)
}
