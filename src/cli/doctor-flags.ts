// The options of `cwm doctor`: addresses, the same as for `serve`, and those that only the doctor has.

import type { Command } from 'commander'

export interface DoctorFlags {
  readonly model?: string
  readonly json?: boolean
  readonly report?: string
  readonly resetEngineCache?: boolean
}

/** Settings of `cwm serve` that the doctor shares: addresses, paths, and what a router is told. */
export const doctorSettings = ['upstream', 'affinity', 'coordinator', 'lmcache', 'store', 'data_dir'] as const

/** Adds the options that only the doctor has. */
export function withDoctorFlags(command: Command): Command {
  return command
    .option('--model <model>', 'served name of the model to probe (default: the first one that the engine lists)')
    .option(
      '--reset-engine-cache',
      "reset the engine's own cache, for all its users, to prove that LMCache restores KV",
    )
    .option('--json', 'print the results as JSON')
    .option('--report <file>', 'write a report in Markdown')
}
