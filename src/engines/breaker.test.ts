// The breaker's states, on a controlled clock.

import { beforeEach, describe, expect, it } from 'vitest'
import { CwmError } from '../base/errors.ts'
import { Breaker } from './breaker.ts'

const OPEN_MS = 2_000
const refused = new CwmError('UPSTREAM_REFUSED', 'nobody there')

let time: number
let changes: string[]
let breaker: Breaker

beforeEach(() => {
  time = 1_000
  changes = []
  breaker = make(3)
})

function make(failures: number): Breaker {
  const onChange = (state: string, failure: CwmError | undefined) =>
    changes.push(failure === undefined ? state : `${state}: ${failure.code}`)
  return new Breaker({ failures, openMs: OPEN_MS, now: () => time, onChange })
}

function fail(times: number): void {
  for (let n = 0; n < times; n++) breaker.failed(breaker.admit() === 'probe', refused)
}

/** Opens the breaker, and waits until a probe is allowed. */
function openAndWait(): void {
  fail(3)
  time += OPEN_MS
}

describe('a closed breaker', () => {
  it('opens after the configured number of failures in a row, and refuses until the time is over', () => {
    fail(2)
    expect(breaker.admit()).toBe('pass')

    breaker.failed(false, refused)

    expect(changes).toEqual(['open: UPSTREAM_REFUSED'])
    expect([breaker.admit(), breaker.waitMs]).toEqual(['refuse', OPEN_MS])
    time += OPEN_MS - 1
    expect([breaker.admit(), breaker.waitMs]).toEqual(['refuse', 1])
  })

  it('only counts failures in a row: an answer between them resets the count', () => {
    fail(2)
    breaker.answered(false)
    fail(2)

    expect(breaker.state).toBe('closed')
  })

  it('counts a request without a verdict as neither', () => {
    fail(2)
    breaker.undecided(false)
    fail(1)

    expect(breaker.state).toBe('open')
  })

  it('never opens if `failures` is 0', () => {
    breaker = make(0)
    fail(100)

    expect(breaker.admit()).toBe('pass')
  })
})

describe('an open breaker', () => {
  it('lets one probe through once its time is over, and no other', () => {
    openAndWait()

    expect([breaker.admit(), breaker.admit(), breaker.admit()]).toEqual(['probe', 'refuse', 'refuse'])
    expect(breaker.state).toBe('half_open')
  })

  it("closes at the probe's answer, and resets the count", () => {
    openAndWait()
    breaker.admit()

    breaker.answered(true)
    fail(2)

    expect(breaker.state).toBe('closed')
    expect(changes).toEqual(['open: UPSTREAM_REFUSED', 'half_open', 'closed'])
  })

  it('opens again for the same time when the probe fails', () => {
    openAndWait()
    breaker.admit()
    time += 500

    breaker.failed(true, refused)

    expect([breaker.state, breaker.waitMs]).toEqual(['open', OPEN_MS])
  })

  it('ignores requests that were sent before it opened', () => {
    openAndWait()
    breaker.answered(false)
    expect(breaker.state).toBe('open')
    breaker.admit()

    breaker.failed(false, refused)
    breaker.answered(false)

    expect(breaker.state).toBe('half_open')
  })

  it('lets the next request probe when the client of the probe leaves', () => {
    openAndWait()
    breaker.admit()

    breaker.undecided(true)

    expect(breaker.admit()).toBe('probe')
  })

  it('sends another probe if one has no connection after that time', () => {
    openAndWait()
    breaker.admit()

    time += OPEN_MS

    expect([breaker.admit(), breaker.admit()]).toEqual(['probe', 'refuse'])
  })

  it("closes when a probe's connection has lasted for that time, so a long prefill does not block others", () => {
    openAndWait()
    breaker.admit()
    breaker.connected()
    time += OPEN_MS - 1
    expect(breaker.admit()).toBe('refuse')

    time += 1

    expect([breaker.admit(), breaker.admit(), breaker.state]).toEqual(['pass', 'pass', 'closed'])
  })

  it('closes at the answer to a health check', () => {
    fail(3)

    breaker.answered(true)

    expect(breaker.admit()).toBe('pass')
  })
})
