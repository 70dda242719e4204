import { EventEmitter } from 'node:events'
import { describe, expect, it } from 'vitest'
import { Hangups, isOnTerminal } from './signals.ts'

const [tty, pipe] = [{ isTTY: true }, {}]

describe('a process', () => {
  it.each([
    [{ stdin: pipe, stdout: pipe, stderr: pipe }, false],
    [{ stdin: tty, stdout: tty, stderr: tty }, true],
    [{ stdin: pipe, stdout: pipe, stderr: tty }, true],
    [{ stdin: tty, stdout: pipe, stderr: pipe }, true],
  ])('is on a terminal if one of its streams is: %j', (streams, expected) => {
    expect(isOnTerminal(streams)).toBe(expected)
  })
})

describe('SIGHUP', () => {
  const processOf = (stream: { readonly isTTY?: boolean }) =>
    Object.assign(new EventEmitter(), { stdin: stream, stdout: stream, stderr: stream })

  it('during startup is handled when startup is complete, once', () => {
    const process = processOf(pipe)
    const hangups = new Hangups(process)
    process.emit('SIGHUP')
    process.emit('SIGHUP')
    let handled = 0

    hangups.handle(() => handled++)
    expect(handled).toBe(1)
    process.emit('SIGHUP')
    expect(handled).toBe(2)
  })

  it('is left to the system on a terminal, which ends the process', () => {
    const process = processOf(tty)
    new Hangups(process).handle(() => {})

    expect(process.listenerCount('SIGHUP')).toBe(0)
  })
})
