// What `cwm doctor` takes: where things are, as `serve` takes it, and how to look.

import type { Command } from 'commander'

export interface DoctorFlags {
  readonly model?: string
  readonly json?: boolean
  readonly report?: string
  readonly resetEngineCache?: boolean
}

/** Settings of `cwm serve` that say where things are. */
export const doctorSettings = ['upstream', 'coordinator', 'lmcache', 'store', 'data_dir'] as const

/** Adds the flags that are the doctor's own. */
export function withDoctorFlags(command: Command): Command {
  return command
    .option('--model <model>', 'served name to probe with (default: the first that the engine lists)')
    .option(
      '--reset-engine-cache',
      "empty the engine's own cache, everybody's, to prove that KV comes back from LMCache",
    )
    .option('--json', 'print the findings as JSON')
    .option('--report <file>', 'write a report to keep, in Markdown')
}
