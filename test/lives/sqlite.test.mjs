// Random lives of named sessions and windows with SQLite: every prompt has exactly the tokens of what should stand there (scripts/lives).

import { afterAll, beforeAll, expect, it } from 'vitest'
import { RUNS_TIMEOUT_MS } from '../support/runs.ts'
import { LIVED, liveSome, startLives } from './lives.mjs'

let lives
beforeAll(async () => {
  lives = await startLives()
})
afterAll(() => lives?.close())

it(
  'every prompt of a random life is what its session and window should hold, over kills too',
  async () => {
    expect(await liveSome(lives)).toEqual(expect.arrayContaining(LIVED))
  },
  4 * RUNS_TIMEOUT_MS,
)
