// JSON answers are buffered until they are complete, within a total limit. An answer beyond the limit passes unbuffered and unread.

import { afterEach, beforeEach, expect, it } from 'vitest'
import { user } from '../support/conversation.ts'
import { until, within } from '../support/deadline.ts'
import { metricOf } from '../support/departing-client.ts'
import { chatAnswer, type FakeUpstream, startFakeUpstream } from '../support/fake-upstream.ts'
import { type Cwm, startCwm } from '../support/stack.ts'

const ANSWER = chatAnswer('x'.repeat(6000))
const BEGINNING_BYTES = 3000

let upstream: FakeUpstream
let cwm: Cwm
/** One per started answer. */
let finish: (() => void)[]

beforeEach(async () => {
  finish = []
  upstream = await startFakeUpstream((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write(ANSWER.slice(0, BEGINNING_BYTES))
    finish.push(() => response.end(ANSWER.slice(BEGINNING_BYTES)))
  })
  // Space for one answer.
  cwm = await startCwm(upstream.url, { max_observed_bytes_in_all: 10_000 })
})

afterEach(async () => {
  await cwm.close()
  await upstream.close()
})

const ask = () =>
  fetch(`${cwm.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: [user('hi')] }),
  })
const begun = (count: number) => until(`answer ${count} has begun`, () => finish.length === count)
const unread = () => metricOf(cwm.url, 'cwm_unobserved_answers_total')

it('an answer passes unread while others use the whole limit, and the next one is buffered again', async () => {
  const rounds = [1, 2, 3, 4]
  const answers: Promise<Response>[] = []
  for (const round of rounds) {
    answers.push(ask())
    await begun(round)
  }

  // An unbuffered answer shows its headers before its end.
  const passed = await within('an answer passes', Promise.any(answers))
  for (const end of finish) end()
  const texts = await Promise.all(answers.map(async (answer) => await (await answer).text()))

  expect(passed.status).toBe(200)
  expect(texts).toEqual(rounds.map(() => ANSWER))
  const passedUnread = await unread()
  expect(passedUnread).toBeGreaterThan(0)

  const last = ask()
  await begun(5)
  finish[4]?.()
  expect(await (await last).text()).toBe(ANSWER)
  expect(await unread()).toBe(passedUnread)
})
