// How often a property is tried: few times and the same ones by default, so that a failure is the change's own; with FC_RUNS set,
// so many times and new ones each time, to go looking for what nobody thought of.

import type { Parameters } from 'fast-check'

/** Settings of a property that is tried `usual` times unless FC_RUNS says otherwise. */
export function runs(usual: number): Pick<Parameters, 'numRuns' | 'seed'> {
  const asked = Number(process.env.FC_RUNS)
  return asked > 0 ? { numRuns: asked } : { numRuns: usual, seed: 1 }
}

/** For so many runs as were asked for, milliseconds; a failure is told by the property itself, long before. */
export const RUNS_TIMEOUT_MS = Number(process.env.FC_RUNS) > 0 ? 3_600_000 : 60_000
