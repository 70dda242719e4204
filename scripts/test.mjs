// `npm test`: tests, lint and types at the same time. Words after `--` go to Vitest: npm test -- --project unit
import { sideBySide } from './run-parallel.mjs'

process.exitCode = await sideBySide(
  {
    name: 'tests',
    command: process.execPath,
    args: ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)],
  },
  [
    { name: 'lint', command: 'npm', args: ['run', '--silent', 'lint'] },
    { name: 'types', command: 'npm', args: ['run', '--silent', 'typecheck'] },
  ],
)
