// How much of the context a turn with several choices uses, from the engine's total over all of them.

import { expect, it } from 'vitest'
import { contextTokens } from './context-used.ts'

const usage = { promptTokens: 100, completionTokens: 60, totalTokens: 160 }
const ended = (...reasons: readonly string[]) => reasons.map((finishReason) => ({ messages: [], finishReason }))

it.each([
  ['one choice uses the engine’s total', ended('stop'), 50, 1000, 160],
  ['no choice, as in an error, uses the engine’s total', ended(), 50, 1000, 160],
  ['several that stopped on their own count as zero', ended('stop', 'stop', 'stop'), 50, 1000, 100],
  ['one that reached its bound has that length', ended('stop', 'length', 'stop'), 50, 1000, 150],
  ['one that reached the limit has the remaining room', ended('length', 'stop'), undefined, 140, 140],
  ['a choice is at most what the others leave of the total', ended('length', 'stop', 'stop'), 500, 1000, 158],
  ['without a limit or bound it is what the others leave', ended('length', 'stop'), undefined, undefined, 159],
  ['an inconsistent total is at least the prompt', ended('length', 'stop'), 500, 90, 100],
])('%s', (_, choices, maxTokens, limit, tokens) => {
  expect(contextTokens({ choices, maxTokens, limit }, usage, { cutReason: 'length' })).toBe(tokens)
})
