// `npm run ask` as a user runs it, with small windows: that it asks all of them, restores them, and prints a row for each case.

import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'

const main = fileURLToPath(new URL('../../scripts/ask/main.mjs', import.meta.url))
const BUILD_MS = 240_000
const RUN_MS = 60_000

let built: BuiltCwm
beforeAll(async () => {
  built = await buildCwm()
}, BUILD_MS)
afterAll(() => built.dispose())

const run = (...args: readonly string[]) => {
  const env = { ...process.env, ASK_DIST: join(dirname(built.main), '..') }
  return promisify(execFile)(process.execPath, [main, ...args], { timeout: RUN_MS, env })
}

it(
  'prints what windows cost at each load speed',
  async () => {
    const args = [
      '--windows',
      '1,3',
      '--tokens',
      '1000',
      '--loads',
      'inf,100000',
      '--prefill',
      'inf',
      '--parallel',
      '2',
    ]

    const { stdout } = await run(...args)

    const rows = stdout.trim().split('\n').slice(2)
    const cells = rows.map((row) => row.split('|').map((cell) => cell.trim().replaceAll(',', '')))
    expect(cells.map(([, windows, , load]) => [windows, load])).toEqual([
      ['1', 'at once'],
      ['3', 'at once'],
      ['1', '100000'],
      ['3', '100000'],
    ])
    for (const [, windows, , , restored, computed, prompt] of cells) {
      expect(Number(restored)).toBeGreaterThanOrEqual(Number(windows) * 768)
      expect(Number(restored) + Number(computed)).toBe(Number(prompt))
    }
  },
  RUN_MS,
)

it('names a wrong option', async () => {
  await expect(run('--windows', '0')).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining('--windows 0') })
})
