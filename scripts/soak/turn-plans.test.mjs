// The soak depends on its checks, so each check is tested with the errors that it must find.

import { expect, it } from 'vitest'
import { errorAnswer, jsonAnswer, streamEvents } from './answers.mjs'
import { plans, truthful } from './turn-plans.mjs'

const turnOf = (name) => {
  const plan = plans.find((one) => one.name === name)
  return { plan, script: { id: 'soak-1.0', ...plan.script }, asksUsage: false }
}
const judge = (turn, outcome) => turn.plan.judge(turn, { status: 200, headers: {}, complete: true, ...outcome })
const error = (code) => Buffer.from(JSON.stringify({ error: { message: 'words', code } }))

it("accepts exactly the upstream's bytes", () => {
  const turn = turnOf('JSON answer')
  const bytes = jsonAnswer(turn.script)

  expect(judge(turn, { bytes })).toBeUndefined()
  expect(judge(turn, { bytes: bytes.subarray(1) })).toContain('bytes that differ')
  expect(judge(turn, { bytes, complete: false })).toContain('aborted')
})

it('rejects a usage event that was not requested', () => {
  const turn = turnOf('stream at once')

  expect(judge(turn, { bytes: Buffer.concat(streamEvents(turn.script, false)) })).toBeUndefined()
  expect(judge(turn, { bytes: Buffer.concat(streamEvents(turn.script, true)) })).toContain('bytes that differ')
})

it('rejects a broken stream that ends cleanly', () => {
  const turn = turnOf('dies between events')
  const came = streamEvents(turn.script, false).slice(0, turn.script.at)
  const told = Buffer.concat([...came, Buffer.from('data: '), error('upstream_broken'), Buffer.from('\n\n')])

  expect(judge(turn, { bytes: told, complete: false })).toBeUndefined()
  expect(judge(turn, { bytes: told })).toContain('as if it were whole')
  expect(judge(turn, { bytes: Buffer.concat(came), complete: false })).toContain('instead of an event')
  expect(judge(turn, { bytes: told.subarray(1), complete: false })).toContain('not the events')
})

it("expects the upstream's own error with its Retry-After", () => {
  const turn = turnOf('error 429')
  const answer = { status: 429, headers: { 'retry-after': '7' }, bytes: errorAnswer(turn.script) }

  expect(judge(turn, answer)).toBeUndefined()
  expect(judge(turn, { ...answer, headers: {} })).toContain('retry-after')
  expect(judge(turn, { ...answer, status: 502 })).toContain('502 instead of 429')
})

it('accepts a failed turn while the upstream is down, but not a wrong one', () => {
  const turn = turnOf('stream at once')
  const refused = { status: 502, headers: {}, bytes: error('upstream_refused'), complete: true }

  expect(truthful(turn, refused)).toBeUndefined()
  expect(truthful(turn, { ...refused, status: 200, bytes: Buffer.from('data: {}\n\n') })).toContain(
    'while the upstream was away',
  )
})
