import { expect, it } from 'vitest'
import type { ManyAnswer } from '../ask/many-question.ts'
import { receiptOf } from '../ask/many-receipt.ts'
import { CwmError } from '../base/errors.ts'
import { replyOf } from './chat-reply.ts'

const receipt = {
  ...receiptOf({ answers: [], failed: [], parallel: 1, ms: 1 }),
  windows: 3,
  answered: 3,
  restoredTokens: 900,
  computedTokens: 100,
  promptTokens: 1_000,
  completionTokens: 30,
}
const answer: ManyAnswer = {
  answers: [],
  failed: [],
  reduction: { answer: 'Ann', window: null, usage: undefined, finishReason: 'stop' },
  reductionError: undefined,
  receipt,
}
const reduced = { model: 'm', rounds: 1, calls: 1, promptTokens: 50, completionTokens: 5 }

it('has the sum of windows and reduction as its usage, and what was restored as cached', () => {
  expect(replyOf({ ...answer, receipt: { ...receipt, reduction: reduced } })).toEqual({
    text: 'Ann',
    finishReason: 'stop',
    usage: { promptTokens: 1_050, completionTokens: 35, cachedTokens: 900 },
  })
  expect(replyOf(answer).usage).toEqual({ promptTokens: 1_000, completionTokens: 30, cachedTokens: 900 })
})

it('has no usage if a part of it is unknown', () => {
  const unknown = { ...reduced, promptTokens: null }

  expect(replyOf({ ...answer, receipt: { ...receipt, promptTokens: null } }).usage).toBeUndefined()
  expect(replyOf({ ...answer, receipt: { ...receipt, reduction: unknown } }).usage).toBeUndefined()
})

it('says that no window contains an answer', () => {
  const none = { ...answer, reduction: { answer: null, window: null, usage: undefined, finishReason: null } }

  expect(replyOf({ ...none, receipt: { ...receipt, notFound: 3 } }).text).toBe(
    'None of the 3 windows contains an answer.',
  )
  expect(replyOf({ ...none, receipt: { ...receipt, notFound: 1, failed: 2 } }).text).toBe(
    'The window does not contain an answer. 2 could not be asked.',
  )
})

it('says that the reply was cut', () => {
  const cut = { ...answer, reduction: { answer: 'An', window: null, usage: undefined, finishReason: 'length' } }

  expect(replyOf(cut).finishReason).toBe('length')
})

it('is an error if the reduction failed, or if no window could be asked', () => {
  const error = new CwmError('UPSTREAM_BROKEN', 'it broke')
  const failed = [{ window: 'one', error }]

  expect(() => replyOf({ ...answer, reduction: undefined, reductionError: error })).toThrow(error)
  expect(() => replyOf({ ...answer, failed, receipt: { ...receipt, windows: 1, failed: 1 } })).toThrow(error)
  expect(replyOf({ ...answer, failed, receipt: { ...receipt, failed: 1 } }).text).toBe('Ann')
})
