// What commands print on a real terminal that is narrow: nothing is wider than it, and nothing is cut without a word.

import { afterAll, beforeAll, expect, it } from 'vitest'
import { widthOf } from '../../src/cli/terminal/text.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { OnTerminal } from '../support/on-terminal.ts'
import { frozenSession } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const COLUMNS = 60

let built: BuiltCwm
let stack: Stack
beforeAll(async () => {
  ;[built, stack] = await Promise.all([buildCwm(), startStack()])
  await frozenSession(stack.url, { session: 'ann', window: 'the-contract-of-the-harbor-and-its-annexes' })
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
})

/** The lines that a command prints, without colors. */
async function linesOf(words: string): Promise<string[]> {
  const env = { PATH: process.env.PATH ?? '', TERM: 'xterm', CWM_URL: stack.url, NO_COLOR: '1' }
  const terminal = new OnTerminal(`"${process.execPath}" "${built.main}" ${words}`, { env, columns: COLUMNS })
  try {
    expect(await terminal.ended()).toBe(0)
    return terminal.out
      .replace(/^[\s\S]*?TTY=.+?\.\r\n/, '')
      .replace(/ENDED[\s\S]*$/, '')
      .split('\r\n')
      .map((line) => line.split('\r').at(-1)?.replaceAll('\u001b[K', '') ?? '')
  } finally {
    await terminal.close()
  }
}

it.each([
  ['usage', /not shown, too narrow: /],
  ['windows list', /the-contract-.*….* frozen/],
  ['sessions list', /ann .*%/],
  ['windows show the-contract-of-the-harbor-and-its-annexes', /stored +l2 \(behind memory/],
  ["ask 'What is the buoy called?' --window the-contract-of-the-harbor-and-its-annexes", /tokens restored/],
  ["ask 'What is the buoy called?' --search contract --reduce none", /asked 1 window/],
  ['top --once', /ann +[█▒]+·+ /],
])('%s fits', async (words, wanted) => {
  const lines = await linesOf(words)

  expect(lines.join('\n')).toMatch(wanted)
  // Rows and receipts. What goes to standard error is text that the terminal wraps.
  const tooWide = lines.filter((line) => widthOf(line) > COLUMNS && !/^(showing|asked|not shown)/.test(line))
  expect(tooWide).toEqual([])
})
