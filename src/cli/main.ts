#!/usr/bin/env node
// The entry point of the `cwm` command.

import { createProgram } from './program.ts'

await createProgram().parseAsync()
