#!/usr/bin/env node
// Where the package's command begins.

import { createProgram } from './program.ts'

await createProgram().parseAsync()
