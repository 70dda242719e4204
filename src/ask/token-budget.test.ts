import { expect, it } from 'vitest'
import { TokenBudget } from './token-budget.ts'

const refused = expect.objectContaining({ code: 'ASK_BUDGET_USED_UP', param: 'budget_tokens' })

it('is settled by what was computed', () => {
  const budget = new TokenBudget(100)

  budget.take(80)(20)
  budget.take(80)

  expect(budget.receipt).toEqual({ tokens: 100, estimatedTokens: 160, stopped: 0 })
})

it('keeps the estimate of what nobody reports', () => {
  const budget = new TokenBudget(100)

  budget.take(80)(null)

  expect(() => budget.take(21)).toThrow(refused)
})

it('stops everything after the first estimate that does not fit', () => {
  const budget = new TokenBudget(100)
  expect(() => budget.take(101)).toThrow(refused)

  expect(() => budget.check()).toThrow(refused)
  expect(() => budget.take(1)).toThrow(refused)

  expect(budget.receipt).toEqual({ tokens: 100, estimatedTokens: 0, stopped: 3 })
})
