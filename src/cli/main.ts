#!/usr/bin/env node
// The entry point of the `cwm` command.

import { COMPLETE } from './completion/scripts.ts'
import { runComplete } from './completion.ts'
import { exitOnBrokenPipe } from './exit-on-epipe.ts'
import { runNextSteps } from './next-steps.ts'
import { createProgram } from './program.ts'

const [, , first, ...rest] = process.argv
if (first === undefined) {
  exitOnBrokenPipe()
  await runNextSteps()
} else if (first === COMPLETE) {
  exitOnBrokenPipe()
  await runComplete(createProgram(), rest)
} else await createProgram().parseAsync()
