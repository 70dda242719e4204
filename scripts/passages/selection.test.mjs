// `select: text` finds the window with the needle.

import { expect, it } from 'vitest'
import { passageIndexOver, SomeWindows } from '../../test/support/passages.ts'
import { textsWithFacts } from './texts.mjs'

const WINDOWS = 200
/** As many as a question would usually be sent to. */
const SELECTED = 8

it('finds the window of a fact among 200 in at least 95 of 100 cases, and quotes it', async () => {
  const { texts, cases } = textsWithFacts({ seed: 19, count: WINDOWS, characters: 20_000, facts: 3 })
  const windows = new SomeWindows()
  for (const [n, text] of texts.entries()) windows.add(`w${n}`, text)
  const index = passageIndexOver(windows)
  const { signal } = new AbortController()
  try {
    let selected = 0
    let quoted = 0
    for (const { question, text, fact } of cases) {
      const ranked = await index.rank('acme', windows.records, question, SELECTED, signal)
      const place = ranked.findIndex(({ window }) => window === `w${text}`)
      if (place >= 0) selected++
      if (place >= 0 && ranked[place].passage.text.includes(fact)) quoted++
    }
    expect(cases).toHaveLength(600)
    expect(selected / cases.length).toBeGreaterThanOrEqual(0.95)
    expect(quoted / cases.length).toBeGreaterThanOrEqual(0.95)
  } finally {
    await index.close()
  }
})
