// Completion in real shells: Tab is pressed, and the shell runs the line that it has completed.

import { execFile, execFileSync } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { bearer, createKey, fileKey, operatorKey, tenantSettings } from '../support/keys.ts'
import { OnTerminal } from '../support/on-terminal.ts'
import { frozenSession } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

// Not synchronous, because the cwm that is asked runs in this process.
const execute = promisify(execFile)

let built: BuiltCwm
let stack: Stack
let folder: string
let keyId: string | null
const away = 'http://127.0.0.1:9'

beforeAll(async () => {
  ;[built, stack, folder] = await Promise.all([
    buildCwm(),
    startStack({ settings: tenantSettings }),
    mkdtemp(join(tmpdir(), 'cwm-completion-')),
  ])
  await frozenSession(stack.url, { session: 'user:ann', window: 'night-watch', headers: bearer(fileKey) })
  ;({ id: keyId } = await createKey(stack.url, { tenant: 'globex', name: 'phone' }))
  await writeFile(join(folder, 'log book.md'), 'text')
  // A `cwm` that completes as the real one, and otherwise tells its words.
  await writeFile(
    join(folder, 'cwm'),
    `#!/bin/sh
case "$1" in
  completion | __complete) exec "${process.execPath}" "${built.main}" "$@" ;;
  *) printf 'RAN'; printf '<%s>' "$@"; echo ;;
esac
`,
  )
  await chmod(join(folder, 'cwm'), 0o755)
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
  await rm(folder, { recursive: true, force: true })
})

const environment = (url: string, key = fileKey) => ({
  PATH: `${folder}:${process.env.PATH}`,
  HOME: folder,
  TERM: 'xterm',
  LANG: 'C.UTF-8',
  CWM_URL: url,
  CWM_API_KEY: key,
})

const hasShell = (name: string) => {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** On CI a shell that is missing is a fault: `.ci/run` installs them. */
const skips = (name: string) => process.env.CI !== 'true' && !hasShell(name)
const titleOf = (name: string) => (skips(name) ? `${name} (skipped; apt-get install ${name})` : name)

const interactive = {
  bash: { command: 'bash --norc --noprofile -i', load: 'source <(cwm completion bash)' },
  zsh: {
    command: 'zsh -f -i',
    load: 'autoload -U compinit; compinit -u -D; source <(cwm completion zsh)',
  },
} as const

describe.each(['bash', 'zsh'] as const)('Tab in %s', (name) => {
  const { command, load } = interactive[name]

  async function run(line: string, url = stack.url, key = fileKey): Promise<string> {
    const shell = new OnTerminal(command, { cwd: folder, env: environment(url, key) })
    try {
      shell.type(`${load}; echo LOADED'_'NOW\n`)
      await shell.shows(/LOADED_NOW/)
      shell.type(`${line}\n`)
      return await shell.shows(/RAN<.*>/)
    } finally {
      await shell.close()
    }
  }

  it.skipIf(skips(name)).each([
    ['a command, and the name of a window', 'cwm windo\tthaw ni\t', 'RAN<windows><thaw><night-watch>'],
    ['a session whose id has a colon', 'cwm sessions end us\t', 'RAN<sessions><end><user:ann>'],
    ['the value after an equals sign', 'cwm ask q --window=ni\t', 'RAN<ask><q><--window=night-watch>'],
    ['an option', 'cwm windows list --sea\tx', 'RAN<windows><list><--search><x>'],
    ['a file with a blank in its name', 'cwm library add law log\t', 'RAN<library><add><law><log book.md>'],
    ['each name of a list', 'cwm usage --by key,mo\t', 'RAN<usage><--by><key,model>'],
    ['one more name of it', 'cwm usage --by key,mo\t\x7f,ho\t', 'RAN<usage><--by><key,model,hour>'],
  ])(`${titleOf(name)}: completes %s`, async (_, line, wanted) => {
    expect(await run(line)).toBe(wanted)
  })

  it.skipIf(skips(name)).each([
    ['a tenant', 'cwm windows list --tenant glo\t', 'RAN<windows><list><--tenant><globex>'],
    ["a tenant's window", 'cwm windows thaw --tenant acme ni\t', 'RAN<windows><thaw><--tenant><acme><night-watch>'],
    ['a key', 'cwm keys revoke key\t', 'RAN<keys><revoke><KEY>'],
    ["a tenant's key", 'cwm keys revoke --tenant globex key\t', 'RAN<keys><revoke><--tenant><globex><KEY>'],
  ])(`${titleOf(name)}: completes %s for the operator`, async (_, line, wanted) => {
    expect(await run(line, stack.url, operatorKey)).toBe(wanted.replace('KEY', String(keyId)))
  })

  it.skipIf(skips(name))(`${titleOf(name)}: leaves the line as it is if cwm is away`, async () => {
    expect(await run('cwm windows thaw ni\t', away)).toBe('RAN<windows><thaw><ni>')
  })
})

describe('fish', () => {
  const complete = async (line: string, url = stack.url, key = fileKey) => {
    const words = ['-c', `cwm completion fish | source; complete -C '${line}'`]
    return (await execute('fish', words, { cwd: folder, env: environment(url, key) })).stdout.trimEnd().split('\n')
  }

  it.skipIf(skips('fish'))(`${titleOf('fish')}: completes commands, names, and files`, async () => {
    expect(await complete('cwm windo')).toEqual([expect.stringMatching(/^windows\tManage windows/)])
    expect(await complete('cwm windows thaw ni')).toEqual([expect.stringMatching(/^night-watch\t[\d,]+ tokens$/)])
    expect(await complete('cwm ask q --window=ni')).toEqual([expect.stringMatching(/^--window=night-watch\t/)])
    expect(await complete('cwm library add law log')).toEqual([expect.stringContaining('log book.md')])
    expect(await complete('cwm usage --by tenant,mo')).toEqual(['tenant,model'])
    expect(await complete('cwm windows thaw ni', away)).toEqual([''])
  })

  it.skipIf(skips('fish'))(`${titleOf('fish')}: completes tenants and keys for the operator`, async () => {
    const asked = (line: string) => complete(line, stack.url, operatorKey)

    expect(await asked('cwm windows list --tenant glo')).toEqual(['globex\ttenant'])
    expect(await asked('cwm keys revoke key')).toEqual([`${keyId}\tphone of globex`])
    expect(await asked('cwm keys revoke --tenant acme key')).toEqual([''])
    expect(await complete('cwm keys revoke key')).toEqual([''])
  })
})

it('prints nothing to a shell if cwm is away, and refuses an unknown shell', async () => {
  const run = (...words: string[]) => execute(join(folder, 'cwm'), words, { env: environment(away) })

  expect(await run('__complete', 'windows', 'thaw', '')).toEqual({ stdout: '', stderr: '' })
  await expect(run('completion', 'tcsh')).rejects.toThrow(/Allowed choices are bash, zsh, fish/)
})
