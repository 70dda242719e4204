// How often a property test runs: a few times with a fixed seed by default, so that failures come from the change under test; with FC_RUNS set,
// that many times with random seeds, to find new cases.

import type { Parameters } from 'fast-check'

/** Settings of a property with `usual` runs, unless FC_RUNS is set. */
export function runs(usual: number): Pick<Parameters, 'numRuns' | 'seed'> {
  const asked = Number(process.env.FC_RUNS)
  return asked > 0 ? { numRuns: asked } : { numRuns: usual, seed: 1 }
}

/** Timeout for the requested number of runs, milliseconds. Failures are reported by the property itself, long before. */
export const RUNS_TIMEOUT_MS = Number(process.env.FC_RUNS) > 0 ? 3_600_000 : 60_000
