// The text of a window leaves the passage index with the window, whoever deletes it.

import { afterEach, beforeEach, expect, it } from 'vitest'
import { askedMany, documentWindow } from '../support/asks.ts'
import { ask, errorOf } from '../support/client.ts'
import { metricOf } from '../support/departing-client.ts'
import { rest } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

let stack: Stack
beforeEach(async () => {
  stack = await startStack()
  for (const name of ['ada', 'bo']) await documentWindow(stack.url, name)
})
afterEach(() => stack.close())

const question = 'What is the harbor of bo called?'
const select = { text: 1 }
const indexed = () => metricOf(stack.url, 'cwm_passage_index_windows')

it('indexes nothing before a question selects, and each window once', async () => {
  expect(await indexed()).toBe(0)

  for (let n = 0; n < 2; n++) await askedMany(stack.url, { question, windows: { tag: 'law' }, select })

  expect([await indexed(), await metricOf(stack.url, 'cwm_passage_windows_total')]).toEqual([2, 2])
})

it('fails with the deadline if the windows are not selected by then, and indexes them for the next question', async () => {
  const body = { question, windows: { tag: 'law' }, select, stream: false }

  // The first selection starts a worker.
  const late = await ask(stack.url, '/cwm/v1/ask', { body: { ...body, deadline_ms: 1 } })

  expect([late.status, errorOf(late).code, errorOf(late).param]).toEqual([504, 'ask_deadline', 'deadline_ms'])
  const { answers } = await askedMany(stack.url, { question, windows: { tag: 'law' }, select })
  expect(answers.map(({ window }) => window)).toEqual(['bo'])
})

it('drops a window that is deleted', async () => {
  await askedMany(stack.url, { question, windows: { tag: 'law' }, select })

  await rest(stack.url, 'DELETE', '/windows/bo')

  expect(await indexed()).toBe(1)
  const { answers } = await askedMany(stack.url, { question, windows: { tag: 'law' }, select })
  expect(answers.map(({ window }) => window)).toEqual(['ada'])
})

it('drops everything of a tenant that is erased', async () => {
  await askedMany(stack.url, { question, windows: { tag: 'law' }, select })

  await rest(stack.url, 'DELETE', '/tenants/me')

  expect([await indexed(), await metricOf(stack.url, 'cwm_passage_index_bytes')]).toEqual([0, 0])
})

it('switched off, it rejects a selection and names the setting, and answers without passages', async () => {
  await stack.restart({ passage_index_bytes: 0 })

  const refused = await ask(stack.url, '/cwm/v1/ask', {
    body: { question, windows: { tag: 'law' }, select, stream: false },
  })
  const { answers } = await askedMany(stack.url, { question, windows: { tag: 'law' } })

  expect([refused.status, errorOf(refused).code]).toEqual([400, 'not_supported'])
  expect(errorOf(refused).message).toContain('passage_index_bytes')
  expect(answers.map(({ passage }) => passage)).toEqual([null, null])
})
