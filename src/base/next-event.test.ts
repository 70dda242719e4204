import { EventEmitter, getEventListeners } from 'node:events'
import { afterEach, expect, it, vi } from 'vitest'
import { nextEvent } from './next-event.ts'

const emitter = new EventEmitter()
const leave = new AbortController()
afterEach(() => vi.useRealTimers())

function expectNoListeners(): void {
  expect(emitter.listenerCount('change')).toBe(0)
  expect(getEventListeners(leave.signal, 'abort')).toEqual([])
}

it('waits for the event', async () => {
  const waiting = nextEvent(emitter, 'change', leave.signal, 60_000)

  emitter.emit('change')

  await waiting
  expectNoListeners()
})

it('waits no longer than it may', async () => {
  vi.useFakeTimers()
  const waiting = nextEvent(emitter, 'change', leave.signal, 200)

  vi.advanceTimersByTime(200)

  await waiting
  expectNoListeners()
})

it('ends when the signal aborts, or has aborted', async () => {
  const waiting = nextEvent(emitter, 'change', leave.signal)

  leave.abort()

  await waiting
  await nextEvent(emitter, 'change', leave.signal)
  expectNoListeners()
})
