// Completions: how answers are read, although they belong to no history.

import { describe, expect, it } from 'vitest'
import { expectBrokenBy, expectCompleteOnlyWhole, fromJson, fromStream } from '../../test/support/dialects.ts'
import { rulesOf } from './index.ts'

describe('usage', () => {
  it.each([['completions', { promptTokens: 3, completionTokens: 2, totalTokens: 5, cachedTokens: 0 }]] as const)(
    'is read from "%s"',
    (name, usage) => {
      expect(fromJson('completions', name).usage).toEqual(usage)
    },
  )

  it.each([
    ['completions, stream n=2 with usage', { promptTokens: 3, completionTokens: 6, totalTokens: 9, cachedTokens: 0 }],
  ] as const)('is read from the stream "%s"', (name, usage) => {
    expect(fromStream('completions', name).usage).toEqual(usage)
  })
})

describe('a stream that breaks', () => {
  const names = ['completions, stream with usage', 'completions, stream n=2 with usage']

  it.each(names)('"%s" is complete when whole, and not before its last required event', (name) => {
    // The finish reasons mark the end; the usage event follows them.
    expectCompleteOnlyWhole('completions', name, 1)
  })

  it.each(names)('"%s" is not complete if it contains an error event', (name) => {
    expectBrokenBy('completions', name, { error: { message: 'x', code: 500 } })
  })
})

describe('an answer', () => {
  const both = [
    { messages: [], finishReason: 'length' },
    { messages: [], finishReason: 'stop' },
  ]

  it('has the finish reason of each choice, and no messages', () => {
    const choices = [
      { index: 0, text: 'a', finish_reason: 'length' },
      { index: 1, text: 'b', finish_reason: 'stop' },
    ]

    expect(rulesOf('completions').observeJson({ choices })).toEqual({ choices: both, complete: true })
  })

  it('has them in a stream too, in whatever order the choices end', () => {
    const event = (index: number, reason: string | null) => ({ choices: [{ index, text: 'a', finish_reason: reason }] })
    const { observeEvents } = rulesOf('completions')

    expect(
      observeEvents([event(0, null), event(1, null), event(1, 'stop'), event(0, 'length'), { choices: [] }]),
    ).toEqual({
      choices: both,
      complete: true,
    })
    expect(observeEvents([event(0, 'length'), event(1, null)]).complete).toBe(false)
  })
})

it("has vLLM's default limit if the request sets none", () => {
  const { maxTokens } = rulesOf('completions')

  expect(maxTokens({})).toBe(16)
  expect(maxTokens({ max_tokens: 5 })).toBe(5)
  expect(maxTokens({ max_tokens: null })).toBeUndefined()
})
