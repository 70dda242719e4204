// The help for all options, and errors that are not buried under it.

import type { CommanderError } from 'commander'
import { describe, expect, it } from 'vitest'
import { flagNames } from '../config/setting-facts.ts'
import { createProgram } from './program.ts'

interface Said {
  readonly out: string
  readonly err: string
  readonly exitCode: number
}

/** Runs a command line that ends before its command starts to work. */
async function said(...words: readonly string[]): Promise<Said> {
  const program = createProgram()
  let out = ''
  let err = ''
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput({
      writeOut: (text) => {
        out += text
      },
      writeErr: (text) => {
        err += text
      },
      getOutHelpWidth: () => 1_000,
    })
  }
  const exit = await program.parseAsync(words, { from: 'user' }).then(
    () => expect.unreachable('the command was run'),
    (thrown: CommanderError) => thrown,
  )
  return { out, err, exitCode: exit.exitCode }
}

it('says in its help where the documentation is', async () => {
  expect((await said('--help')).out).toContain('Documentation: http://127.0.0.1:8787/cwm/docs/')
})

describe('cwm serve --help', () => {
  it('describes every flag, with its default and its variable', async () => {
    const { out, exitCode } = await said('serve', '--help')

    expect(exitCode).toBe(0)
    for (const name of flagNames) expect(out).toContain(`--${name.replaceAll('_', '-')} `)
    expect(out).toMatch(/--port <value> +Port to listen on; 0 picks a free port \(default: 8787; env: CWM_PORT\)\n/)
    expect(out).toMatch(/--preserve-host \[true\|false] .*\(default: false; env: CWM_PRESERVE_HOST\)\n/)
    expect(out).toMatch(/--coordinator <value> .*reports \(env: CWM_COORDINATOR\)\n/)
    expect(out).toMatch(/--allowed-hosts <value> .*rebinding\) \(env: CWM_ALLOWED_HOSTS\)\n/)
  })
})

describe('an invalid command line', () => {
  it.each([
    [['serve', '--prot', '1'], "error: unknown option '--prot'\n(Did you mean --port?)\nsee cwm serve --help\n"],
    [['serve', '--port'], "error: option '--port <value>' argument missing\nsee cwm serve --help\n"],
    [['demo', '--kep'], "error: unknown option '--kep'\n(Did you mean --keep?)\nsee cwm demo --help\n"],
    [['sevre'], "error: unknown command 'sevre'\n(Did you mean serve?)\nsee cwm --help\n"],
  ])('%j is reported with a pointer to the right help', async (words, wanted) => {
    expect(await said(...words)).toEqual({ out: '', err: wanted, exitCode: 1 })
  })
})
