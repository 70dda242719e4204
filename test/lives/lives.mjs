// The property that both stores share: random lives on one cwm, which is killed and started again within them.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { LivedCwm } from '../../scripts/lives/cwm.mjs'
import { openEngine } from '../../scripts/lives/engine.mjs'
import { Life } from '../../scripts/lives/life.mjs'
import { relevantOf } from '../../scripts/lives/shrink.mjs'
import { step } from '../../scripts/lives/steps.mjs'
import { startSim } from '../../src/sim/index.ts'
import { buildCwm } from '../support/built-cwm.ts'
import { runs } from '../support/runs.ts'

const LIVES = 3
const MIN_STEPS = 60
const MAX_STEPS = 100

/** Starts the simulator, and cwm with these further flags. */
export async function startLives(flags = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'cwm-lives-'))
  const built = await buildCwm()
  const sim = await startSim({ requestLog: 1, eventFlushMs: 0 })
  const known = { upstream: sim.engineUrl, coordinator: sim.coordinatorUrl }
  const cwm = await LivedCwm.start({ main: built.main, folder, flags: { ...known, ...flags } })
  return {
    cwm,
    engine: await openEngine(sim.engineUrl),
    close: async () => {
      await cwm.stop()
      await sim.close()
      await built.dispose()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** What the lives of the fixed seed include. Random seeds need not. */
const FIXED = [
  ...['turn new', 'turn own', 'turn whole', 'freeze', 'freeze by header', 'thaw', 'thaw by header', 'clone'],
  ...['make', 'delete', 'delete under a session', 'end', 'restart', 'refused'],
]
export const LIVED = runs(LIVES).seed === undefined ? [] : FIXED

/**
 * Runs some lives, and resolves with what they included. Fails with the actions that led to the first fault, in the format of `npm run lives --
 * --life FILE`.
 */
export async function liveSome({ cwm, engine }) {
  let lives = 0
  const lived = new Set()
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: MIN_STEPS, maxLength: MAX_STEPS }), async (steps) => {
      const life = new Life(cwm, engine, `life-${lives++}`)
      try {
        for (const [n, drawn] of steps.entries()) await life.step(drawn, n)
        await life.rollCall()
        for (const what of life.counts.keys()) lived.add(what)
      } catch (error) {
        error.message += `\n${JSON.stringify(relevantOf(life.done))}`
        throw error
      }
    }),
    { ...runs(LIVES), endOnFailure: true },
  )
  return [...lived]
}
