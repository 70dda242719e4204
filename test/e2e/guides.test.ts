// Runs the commands of docs/guides and of the migration page: all `sh` blocks of a page in one shell. `console` blocks are for reading
// only.

import { execFile } from 'node:child_process'
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { keyHash } from '../../src/base/auth.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { chat, prose, user } from '../support/conversation.ts'
import { hasJq } from '../support/examples.ts'
import { type Stack, startStack } from '../support/stack.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const exec = promisify(execFile)
const keys = { acme: 'sk-acme-0123456789', operator: 'operator-0123456789' }

let built: BuiltCwm
let stack: Stack
let bin: string
/** The commands' folder, with the files that they read. */
let place: string
beforeAll(async () => {
  const tenants = [{ id: 'acme', keys: [{ name: 'main', sha256: keyHash(keys.acme) }] }]
  ;[built, stack, bin] = await Promise.all([
    buildCwm(),
    startStack({ settings: { tenants, operator_key: keys.operator } }),
    mkdtemp(join(tmpdir(), 'cwm-guides-')),
  ])
  place = await mkdtemp(join(tmpdir(), 'cwm-guides-'))
  await copyFile(join(root, 'LICENSE'), join(place, 'LICENSE'))
  await writeFile(
    join(place, 'messages.json'),
    JSON.stringify([user(prose(600)), { role: 'assistant', content: 'So it is.' }]),
  )
  const shim = join(bin, 'cwm')
  await writeFile(shim, `#!/bin/sh\nexec "${process.execPath}" "${built.main}" "$@"\n`)
  await chmod(shim, 0o755)
  await chat(stack.url, [user(prose(900))], {
    headers: { 'x-cwm-session': 'agent-1', authorization: `Bearer ${keys.acme}` },
  })
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
  await Promise.all([bin, place].map((folder) => rm(folder, { recursive: true, force: true })))
})

async function commandsOf(page: string): Promise<string> {
  const text = await readFile(join(root, page), 'utf8')
  return [...text.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block]) => block).join('\n')
}

it
  .skipIf(!(await hasJq()))
  .each([
    'docs/guides/chat-app.md',
    'docs/guides/agents.md',
    'docs/guides/long-documents.md',
    'docs/guides/ask.md',
    'docs/migration.md',
    'docs/guides/many-tenants.md',
  ])('%s', async (page) => {
  const { stdout } = await exec('bash', ['--norc', '-euo', 'pipefail', '-c', await commandsOf(page)], {
    cwd: place,
    timeout: 60_000,
    env: {
      PATH: `${bin}:${process.env.PATH}`,
      CWM_URL: stack.url,
      CWM_API_KEY: keys.acme,
      CWM_OPERATOR_KEY: keys.operator,
      MODEL: 'sim-model',
      SESSION: 'agent-1',
    },
  })

  expect(stdout).not.toBe('')
  expect(stdout).not.toMatch(/^null$/m)
})
