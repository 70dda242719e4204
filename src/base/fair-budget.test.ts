// How a budget of 100 bytes is divided: something always remains for others.

import { beforeEach, describe, expect, it } from 'vitest'
import { FairBudget } from './fair-budget.ts'

let budget: FairBudget
beforeEach(() => {
  budget = new FairBudget(100)
})

describe('a budget', () => {
  it('may be taken whole by one item while there is no other', () => {
    expect(budget.change('a', 0, 100)).toBe(true)
    expect(budget.change('b', 0, 1)).toBe(false)
  })

  it('is half for one sharer with several items', () => {
    expect(budget.change('a', 0, 25)).toBe(true)
    expect(budget.change('a', 0, 25)).toBe(true)
    expect(budget.change('a', 0, 1)).toBe(false)
  })

  it('never ends with the first item of each of many sharers', () => {
    for (let n = 0; n < 8; n++) budget.change(`sharer ${n}`, 0, n === 0 ? 50 : 10)

    expect(budget.used).toBe(90)
    expect(budget.change('another', 0, 5)).toBe(true)
  })

  it('always has room for one that holds less than the others', () => {
    for (let bytes = 1; bytes <= 100; bytes++) for (const sharer of ['a', 'b', 'c']) budget.change(sharer, 0, 1)

    expect(budget.used).toBe(75)
    expect(budget.change('d', 0, 12)).toBe(true)
  })

  it('counts the growth of an item, and keeps what it was if it cannot grow', () => {
    budget.change('a', 0, 40)
    budget.change('b', 0, 10)
    expect(budget.change('b', 10, 30)).toBe(true)
    expect(budget.change('b', 30, 31)).toBe(false)
    expect(budget.used).toBe(70)
    expect(budget.change('b', 30, 0)).toBe(true)
    expect(budget.used).toBe(40)
  })
})
