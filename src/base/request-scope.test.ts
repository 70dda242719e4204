// What must end with a request ends once, in order, also what is said too late.

import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { expect, it } from 'vitest'
import { RequestScope } from './request-scope.ts'

const answer = (state = {}) => ({ destroyed: false, writableFinished: false, ...state })

it('runs its callbacks once, in the order in which they were given', () => {
  const ran: string[] = []
  const scope = new RequestScope(answer())
  scope.onClose(() => ran.push('first'))
  scope.onClose(() => ran.push('second'))

  scope.close()
  scope.close()

  expect(ran).toEqual(['first', 'second'])
})

it('runs at once what is given to it when it is closed', () => {
  const scope = new RequestScope(answer())
  scope.close()
  let ran = false

  scope.onClose(() => {
    ran = true
  })

  expect(ran).toBe(true)
})

it('is gone as soon as its answer can reach nobody, and when it is closed', () => {
  const closed = new RequestScope(answer())
  closed.close()

  const gone = [new RequestScope(answer()), new RequestScope(answer({ destroyed: true })), closed].map((s) => s.isGone)

  expect(gone).toEqual([false, true, true])
})

it('aborts its signal when the client leaves, and not when it has its answer', () => {
  const [left, answered] = [new RequestScope(answer()), new RequestScope(answer({ writableFinished: true }))]
  const signals = [left.signal, answered.signal]

  left.close()
  answered.close()

  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
})

it('gives a signal that is aborted where it is first asked for when the client is gone', () => {
  const scope = new RequestScope(answer({ destroyed: true }))

  expect(scope.signal.aborted).toBe(true)
  expect(scope.signal).toBe(scope.signal)
})

it('closes with the response that it is of', () => {
  const response = Object.assign(new EventEmitter(), answer())
  const scope = RequestScope.of(response as unknown as ServerResponse)

  response.emit('close')

  expect(scope.isGone).toBe(true)
})
