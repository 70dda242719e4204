// What a turn with several choices takes of the context, from what the engine tells of all of them together.

import { expect, it } from 'vitest'
import { contextTokens } from './context-used.ts'

const usage = { promptTokens: 100, completionTokens: 60, totalTokens: 160 }
const ended = (...reasons: readonly string[]) => reasons.map((finishReason) => ({ messages: [], finishReason }))

it.each([
  ['one choice is all that the engine counts', ended('stop'), 50, 1000, 160],
  ['no choice, as an error has none, is what the engine counts', ended(), 50, 1000, 160],
  ['several that ended by themselves are counted as none', ended('stop', 'stop', 'stop'), 50, 1000, 100],
  ['one that ran out of what it was allowed has as much', ended('stop', 'length', 'stop'), 50, 1000, 150],
  ['one that ran into the limit has what was left', ended('length', 'stop'), undefined, 140, 140],
  ['none is longer than what the others leave of the sum', ended('length', 'stop', 'stop'), 500, 1000, 158],
  ['without a limit or a bound it is what the others leave', ended('length', 'stop'), undefined, undefined, 159],
  ['a sum that cannot be is no less than the prompt', ended('length', 'stop'), 500, 90, 100],
])('%s', (_, choices, maxTokens, limit, tokens) => {
  expect(contextTokens({ choices, maxTokens, limit }, usage, { cutReason: 'length' })).toBe(tokens)
})
