import { expect, it } from 'vitest'
import { isNotFound, withNotFound } from './not-found.ts'

it('is recognized whatever marks stand around it', () => {
  for (const answer of ['NOT FOUND', ' not found.\n', '**NOT FOUND**', '"Not Found"', 'NOT_FOUND']) {
    expect([answer, isNotFound(answer)]).toEqual([answer, true])
  }
})

it('is not found in an answer that only mentions it', () => {
  for (const answer of ['', 'The ship was not found.', 'NOT FOUND in chapter 1, but in chapter 2: Lomvi']) {
    expect([answer, isNotFound(answer)]).toEqual([answer, false])
  }
})

it('comes after the instructions of the caller', () => {
  expect(withNotFound('Be brief.')).toMatch(/^Be brief\.\n\n.*NOT FOUND/)
})
