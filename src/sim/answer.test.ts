import { describe, expect, it } from 'vitest'
import { answersFor } from './answer.ts'

const user = (text: string) => ({ role: 'user', text })

describe('an answer', () => {
  it('quotes the sentence that fits the question best', () => {
    const context = [
      user('My sister keeps two parrots. The door code of the office is 4812. Lunch is at noon.'),
      { role: 'assistant', text: 'Noted.' },
      user('What is the door code?'),
    ]

    expect(answersFor(context, 1)).toEqual(['From what you told me: The door code of the office is 4812.'])
  })

  it('says that the context contains no answer', () => {
    expect(answersFor([user('What is the door code?')], 1)).toEqual(['Nothing in this context tells me that.'])
  })

  it('acknowledges a statement', () => {
    expect(answersFor([user('The door code is 4812.')], 1)).toEqual(['Noted.'])
  })

  it('does not quote an earlier question, or its own quote of it', () => {
    const context = [user('The code is 4812.'), user('What is the code?'), user('And the code again?')]

    expect(answersFor(context, 1)[0]).toContain('The code is 4812.')
  })
})
