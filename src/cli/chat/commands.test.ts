// Tab completion in the chat.

import { describe, expect, it } from 'vitest'
import { completionsOf } from './commands.ts'

const windows = async () => ['before-refactor', 'before-lunch', 'night']

describe('completionsOf', () => {
  it.each([
    ['/th', [['/thaw '], '/th']],
    ['/thaw bef', [['before-refactor ', 'before-lunch '], 'bef']],
    ['/clone ni', [['night '], 'ni']],
    // A clone's second name is new, so nothing completes it.
    ['/clone night be', [[], 'be']],
    ['/freeze be', [[], 'be']],
    ['Tell me /th', [[], 'Tell me /th']],
  ])('of %j', async (line, wanted) => {
    expect(await completionsOf(line, windows)).toEqual(wanted)
  })
})
