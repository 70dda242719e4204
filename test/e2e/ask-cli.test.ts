// `cwm ask` with many windows, as a process: rows as windows are done, one answer, exit codes, and Ctrl-C.

import { afterAll, beforeAll, expect, it } from 'vitest'
import type { ManyAnswerJson } from '../../src/wire/many-asks.ts'
import { documentWindow } from '../support/asks.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { CliProcess, type CliResult } from '../support/cli-process.ts'
import { until } from '../support/deadline.ts'
import { type Stack, startStack } from '../support/stack.ts'

let built: BuiltCwm
let stack: Stack
beforeAll(async () => {
  ;[built, stack] = await Promise.all([buildCwm(), startStack()])
  for (const name of ['one', 'two', 'three']) await documentWindow(stack.url, name)
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
})

const start = (...words: string[]) =>
  new CliProcess(built, ['ask', 'Where is it?', ...words], { env: { CWM_URL: stack.url }, input: '' })
const cwmAsk = (...words: string[]): Promise<CliResult> => start(...words).result()

it('prints a row for each window, with tabs between for programs', async () => {
  const { out, err, ended } = await cwmAsk('--tag', 'law', '--reduce', 'none', '--parallel', '1')

  const rows = out.trimEnd().split('\n')
  const cells = rows.map((row) => row.split('\t'))
  expect(cells.map(([window, state]) => [window, state])).toEqual([
    ['one', 'answered'],
    ['three', 'answered'],
    ['two', 'answered'],
  ])
  for (const [, , restored, computed] of cells) {
    expect(Number(restored)).toBeGreaterThan(0)
    expect(Number(computed)).toBeGreaterThan(0)
  }
  expect(err).toMatch(/asked 3 windows: 3 answered; [\d,]+ of [\d,]+ tokens restored, [\d,]+ computed, in /)
  expect(ended).toBe(0)
})

it('prints one answer made of all, and the rows beside it', async () => {
  for (const content of ['Port-one', 'NOT FOUND', 'Port-two', 'Both, as [one] and [two] say'])
    stack.sim.script({ content })

  const { out, err, ended } = await cwmAsk('--tag', 'law', '--parallel', '1')

  expect(out).toBe('Both, as [one] and [two] say\n')
  expect(err).toMatch(/^one\tanswered\t.*\tPort-one\nthree\tnot_found\t.*\t\ntwo\tanswered\t.*\tPort-two\n\n/)
  expect(err).toContain('asked 3 windows: 2 answered, 1 without an answer;')
  expect(ended).toBe(0)
})

it('prints the best answer with its window', async () => {
  // The simulator chooses the first of those that it may name.
  for (const content of ['Port-one', 'Port-three', 'Port-two']) stack.sim.script({ content })

  const { out } = await cwmAsk('--tag', 'law', '--parallel', '1', '--reduce', 'best')

  expect(out).toBe('Port-one\n(from one)\n')
})

it('exits with 1 if the answers could not be reduced, and still prints them', async () => {
  stack.sim.fault({ path: '/v1/chat/completions', after: 3, action: { kind: 'status', status: 400 } })

  const { out, err, ended } = await cwmAsk('--tag', 'law')

  expect(out).toBe('')
  expect(err.match(/\tanswered\t/g)).toHaveLength(3)
  expect(err).toMatch(/cwm: the windows answered, but their answers could not be reduced: .+/)
  expect(ended).toBe(1)
})

it('shows a failed window in its row, and goes on', async () => {
  const { out, err, ended } = await cwmAsk('--window', 'one', '--window', 'absent', '--reduce', 'none')

  expect(out.split('\n').sort().slice(1)).toMatchObject([
    expect.stringMatching(/^absent\tfailed\t\t\t\tthere is no window absent/),
    expect.stringMatching(/^one\tanswered\t/),
  ])
  expect(err).toContain('asked 2 windows: 1 answered, 1 failed;')
  expect(ended).toBe(0)
})

it('exits with 1 if no window could be asked', async () => {
  expect((await cwmAsk('--window', 'absent', '--window', 'gone', '--reduce', 'none')).ended).toBe(1)
})

it('prints everything as one JSON object with --json', async () => {
  const { out, err } = await cwmAsk('--tag', 'law', '--reduce', 'none', '--json')

  const answer = JSON.parse(out) as ManyAnswerJson
  expect(answer.answers.map(({ window }) => window).sort()).toEqual(['one', 'three', 'two'])
  expect(answer).toMatchObject({ failed: [], reduction: null, reduction_error: null, receipt: { windows: 3 } })
  expect(err).toBe('')
})

it('asks a single window as before, unless something else is said', async () => {
  const { out } = await cwmAsk('--window', 'one')

  expect(out).toMatch(/\nasked one: [\d,]+ tokens restored, /)
})

it('needs to know which windows', async () => {
  const none = await cwmAsk()
  const both = await cwmAsk('--window', 'one', '--tag', 'law')
  const absent = await cwmAsk('--tag', 'nothing')

  expect([none.ended, both.ended, absent.ended]).toEqual([2, 2, 1])
  expect(none.err).toMatch(/^cwm: say which windows to ask: either --window NAME/)
  expect(absent.err).toMatch(/^cwm: no frozen window under this key has the tag nothing/)
})

it('ends the question at the engine when it is interrupted', async () => {
  stack.sim.fault({ path: '/v1/chat/completions', action: { kind: 'delay', ms: 60_000 } })
  const before = stack.sim.requests.all('engine').length
  const asking = start('--tag', 'law', '--reduce', 'none', '--parallel', '1')
  await until('a window is asked', () =>
    stack.sim.requests
      .all('engine')
      .slice(before)
      .some(({ path }) => path === '/v1/chat/completions'),
  )

  asking.child.kill('SIGINT')

  expect((await asking.result()).ended).toBe(130)
  await until('nothing is in flight', async () => {
    const metrics = await (await fetch(`${stack.url}/cwm/metrics`)).text()
    return /^cwm_slots_in_use 0$/m.test(metrics)
  })
})
