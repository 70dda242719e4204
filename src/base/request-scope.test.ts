// Registered callbacks run once, in order, even if registered late.

import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { expect, it } from 'vitest'
import { RequestScope } from './request-scope.ts'

const answer = (state = {}) => ({ destroyed: false, writableFinished: false, ...state })

it('runs its callbacks once, in the order of registration', () => {
  const ran: string[] = []
  const scope = new RequestScope(answer())
  scope.onClose(() => ran.push('first'))
  scope.onClose(() => ran.push('second'))

  scope.close()
  scope.close()

  expect(ran).toEqual(['first', 'second'])
})

it('runs a callback at once if it is already closed', () => {
  const scope = new RequestScope(answer())
  scope.close()
  let ran = false

  scope.onClose(() => {
    ran = true
  })

  expect(ran).toBe(true)
})

it('is abandoned as soon as nobody can receive its answer, and when it is closed', () => {
  const closed = new RequestScope(answer())
  closed.close()

  const gone = [new RequestScope(answer()), new RequestScope(answer({ destroyed: true })), closed].map((s) => s.isGone)

  expect(gone).toEqual([false, true, true])
})

it('aborts its signal when the client disconnects, but not when it has its answer', () => {
  const [left, answered] = [new RequestScope(answer()), new RequestScope(answer({ writableFinished: true }))]
  const signals = [left.signal, answered.signal]

  left.close()
  answered.close()

  expect(signals.map(({ aborted }) => aborted)).toEqual([true, false])
})

it('returns an aborted signal if it is first requested after the client disconnected', () => {
  const scope = new RequestScope(answer({ destroyed: true }))

  expect(scope.signal.aborted).toBe(true)
  expect(scope.signal).toBe(scope.signal)
})

it('closes with its response', () => {
  const response = Object.assign(new EventEmitter(), answer())
  const scope = RequestScope.of(response as unknown as ServerResponse)

  response.emit('close')

  expect(scope.isGone).toBe(true)
})
