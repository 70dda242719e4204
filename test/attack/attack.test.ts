// A short run of `npm run attack`: answers, isolation and counters are correct for the generated attacks of one seed. No assertions on
// time.

import { execFile } from 'node:child_process'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'

const script = (name: string) => fileURLToPath(new URL(`../../scripts/attack/${name}`, import.meta.url))
const main = script('main.mjs')
const shares = script('shares/main.mjs')
const BUILD_MS = 240_000
const RUN_MS = 300_000

let built: BuiltCwm

beforeAll(async () => {
  built = await buildCwm()
}, BUILD_MS)

afterAll(() => built.dispose())

function attack(args: readonly string[], file = main): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, ATTACK_DIST: dirname(dirname(built.main)) }
  return new Promise((resolve) => {
    execFile(process.execPath, [file, ...args], { timeout: RUN_MS, env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    })
  })
}

// Open sockets are counted in /proc, which only Linux has.
it.runIf(process.platform === 'linux')(
  'finds nothing in a short attack of either mode',
  async () => {
    const ended = await attack(['--requests', '300', '--seconds', '60', '--seed', '15', '--huge', '0', '--no-pin'])

    expect(ended, ended.stdout + ended.stderr).toMatchObject({ code: 0, stderr: '' })
    expect(ended.stdout).toContain('seed 15: nothing found')
    expect(ended.stdout.match(/ {2}attacks {3}\d+ listed, 300 generated/g)).toHaveLength(2)
  },
  RUN_MS,
)

it('reports each invalid option in a line', async () => {
  expect(await attack(['--requests', '0', '--repeat', 'x'])).toEqual({
    code: 2,
    stdout: '',
    stderr: 'attack: --requests: a whole number, 1 or more\nattack: --repeat: the number of an attack\n',
  })
})

// The verdict depends on the machine, so only the way to it is tested.
it.runIf(process.platform === 'linux')(
  'attacks a share of all tenants, and prints a verdict for each thing that an honest tenant sees',
  async () => {
    const ended = await attack(['--seconds', '1', '--attack', 'slow-bodies', '--no-pin'], shares)

    expect(ended, ended.stdout + ended.stderr).toMatchObject({ stderr: '' })
    expect(ended.stdout).toMatch(/^slow-bodies: (pass|FAIL)/)
    const [head = '', , row = '', ...more] = ended.stdout.slice(ended.stdout.indexOf('| row |')).trimEnd().split('\n')
    expect(more).toEqual([])
    expect(row).toMatch(/^\| 5 \| 200 random keys /)
    expect(row.split('|')).toHaveLength(head.split('|').length)
  },
  RUN_MS,
)
