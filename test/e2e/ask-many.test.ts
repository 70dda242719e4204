// Questions to many windows by REST: which windows, side by side, each with its own answer or error.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { askedMany, documentWindow, eventsIn, streamedMany } from '../support/asks.ts'
import { errorOf } from '../support/client.ts'
import { call } from '../support/rest.ts'
import { type Stack, startStack } from '../support/stack.ts'

const names = ['ada', 'bo', 'cy']
const question = 'What is the harbor called?'

let stack: Stack
beforeEach(async () => {
  stack = await startStack()
  for (const name of names) await documentWindow(stack.url, name)
})
afterEach(() => stack.close())

describe('which windows', () => {
  it('those of a tag, each with its own answer and receipt', async () => {
    await documentWindow(stack.url, 'other', { tags: ['recipes'] })
    await stack.sim.restartEngine()

    const { answers, failed, receipt } = await askedMany(stack.url, { question, windows: { tag: 'law' } })

    expect(answers.map(({ window }) => window)).toEqual(names)
    for (const { window, answer } of answers) expect(answer).toContain(`Port-${window}`)
    expect(failed).toEqual([])
    const sum = (of: (at: (typeof answers)[number]) => number | null) =>
      answers.reduce((all, at) => all + (of(at) ?? 0), 0)
    expect(receipt).toMatchObject({
      windows: 3,
      answered: 3,
      failed: 0,
      restored_tokens: sum((at) => at.receipt.restored_tokens),
      computed_tokens: sum((at) => at.receipt.computed_tokens),
      prompt_tokens: sum((at) => at.usage?.prompt_tokens ?? 0),
    })
    expect(receipt.restored_tokens).toBeGreaterThanOrEqual(3 * 256)
  })

  it('those with a text in their names, or both', async () => {
    await documentWindow(stack.url, 'adam', { tags: ['recipes'] })

    const found = await askedMany(stack.url, { question, windows: { search: 'ad' } })
    const both = await askedMany(stack.url, { question, windows: { search: 'ad', tag: 'law' } })

    expect(found.answers.map(({ window }) => window)).toEqual(['ada', 'adam'])
    expect(both.answers.map(({ window }) => window)).toEqual(['ada'])
  })

  it('given ones in their order, once each; one that does not exist is only its own error', async () => {
    const { answers, failed } = await askedMany(stack.url, {
      question,
      windows: { names: ['cy', 'nothing', 'ada', 'cy'] },
    })

    expect(answers.map(({ window }) => window)).toEqual(['cy', 'ada'])
    expect(failed).toMatchObject([{ window: 'nothing', error: { code: 'window_not_found' } }])
  })

  it('a thousand names, however long, many at once, without a warning about listeners', async () => {
    const absent = Array.from({ length: 999 }, (_, i) => `${'n'.repeat(120)}-${i}`)
    const warnings: Error[] = []
    const onWarning = (warning: Error) => warnings.push(warning)
    process.on('warning', onWarning)

    const body = { question, windows: { names: ['ada', ...absent] }, parallel: 64 }
    const { answers, failed } = await askedMany(stack.url, body)

    process.off('warning', onWarning)
    expect(answers.map(({ window }) => window)).toEqual(['ada'])
    expect(failed.map(({ window }) => window)).toEqual(absent)
    expect(warnings).toEqual([])
  })

  it('nothing that matches is an error that names the conditions', async () => {
    const got = await call(stack.url, 'POST', '/ask', { question, windows: { tag: 'nobody' } })

    expect([got.status, errorOf({ ...got, text: /data: (.*)\n/.exec(got.text)?.[1] ?? '' })]).toEqual([
      200,
      expect.objectContaining({ code: 'window_not_found', message: expect.stringContaining('the tag nobody') }),
    ])
  })

  it('either names or conditions', async () => {
    for (const windows of [{}, { names: [] }, { names: ['ada'], tag: 'law' }]) {
      const got = await call(stack.url, 'POST', '/ask', { question, windows })
      expect([got.status, errorOf(got).code]).toEqual([400, 'invalid_field'])
      expect(errorOf(got).param).toContain('windows')
    }
  })

  it('never those of another tenant', async () => {
    const headers = { authorization: 'Bearer other' }
    const byName = await askedMany(stack.url, { question, windows: { names: ['ada', 'nothing'] } }, headers)
    const byTag = await call(stack.url, 'POST', '/ask', { question, windows: { tag: 'law' }, stream: false }, headers)
    const unknown = await call(stack.url, 'POST', '/ask', { question, windows: { tag: 'owl' }, stream: false }, headers)

    expect(byName.answers).toEqual([])
    const [foreign, absent] = byName.failed.map(({ error }) => error)
    expect(foreign).toEqual({ ...absent, message: absent?.message.replace('nothing', 'ada') })
    expect([byTag.status, byTag.text]).toEqual([unknown.status, unknown.text.replace('owl', 'law')])
  })
})

describe('events', () => {
  it('one for each window as it is done, and the receipt of the whole', async () => {
    const events = eventsIn(
      await streamedMany(stack.url, { question, windows: { names: ['ada', 'nothing'] }, parallel: 1 }),
    )

    expect(events.map(({ kind }) => kind)).toEqual(['started', 'window', 'window_error', 'receipt'])
    expect(events[0]?.data).toEqual({ windows: 2, parallel: 1 })
  })
})

describe('selection by text', () => {
  it('asks only the windows that fit best, and quotes the passage of the answer', async () => {
    const { answers, receipt } = await askedMany(stack.url, {
      question: 'What is the harbor of bo called?',
      windows: { tag: 'law' },
      select: { text: 1 },
    })

    expect(answers.map(({ window }) => window)).toEqual(['bo'])
    expect(answers[0]?.passage?.text).toContain('Port-bo')
    expect(receipt.windows).toBe(1)
  })

  it('among names leaves the absent one as an error', async () => {
    const { answers, failed } = await askedMany(stack.url, {
      question,
      windows: { names: ['ada', 'nothing'] },
      select: { text: 5 },
    })

    expect(answers.map(({ window }) => window)).toEqual(['ada'])
    expect(failed).toMatchObject([{ window: 'nothing', error: { code: 'window_not_found' } }])
  })

  it('that fits no window is an answer without windows', async () => {
    const { answers, failed, reduction } = await askedMany(stack.url, {
      question: 'xylophone',
      windows: { tag: 'law' },
      select: { text: 5 },
      reduce: 'best',
    })

    expect([answers, failed, reduction?.answer]).toEqual([[], [], null])
  })
})
