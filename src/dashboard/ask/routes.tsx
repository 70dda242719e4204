// The tab of questions to windows: the page, the windows that are chosen, and the answers as they come.

import { CwmError } from '../../base/errors.ts'
import type { LibraryJson } from '../../wire/libraries.ts'
import type { CountedPageJson, PageJson } from '../../wire/lists.ts'
import type { ManyAskBody } from '../../wire/many-asks.ts'
import type { WindowJson } from '../../wire/windows.ts'
import type { Ctx } from '../bindings.ts'
import { Note } from '../components.tsx'
import { textOf } from '../forms.ts'
import type { Mount } from '../pages.tsx'
import type { Ask } from '../viewers.ts'
import { answerLines } from './answer-stream.tsx'
import { AskPage, type Chosen, ChosenWindows } from './ask-page.tsx'
import { askUrl, type Choice, choiceOf, readChoice, windowsOf } from './choice.ts'

/** Names of chosen windows that the page shows. */
const MAX_NAMED = 10
const MAX_LIBRARIES = 100

export const ask: Mount = (app, pages) => {
  app.get('/ask', async (c) => {
    const choice = choiceOf(c)
    const rest = pages.ask(c)
    const chosen = await readChosen(rest, choice)
    const fragment = <ChosenWindows chosen={chosen} />
    const url = askUrl(choice)
    if (pages.isFragment(c)) return await pages.show(c, { tab: 'ask', title: 'Ask', body: fragment, url })
    const { data } = await rest<PageJson<LibraryJson>>('GET', `/cwm/v1/libraries?limit=${MAX_LIBRARIES}`)
    const libraries = data.map(({ name }) => name)
    const question = c.req.query('question') ?? ''
    const body = <AskPage choice={choice} chosen={chosen} libraries={libraries} question={question} />
    return await pages.show(c, {
      tab: 'ask',
      title: 'Ask',
      body,
      url,
      scripts: ['ask.js'],
      styles: ['lists.css', 'ask.css'],
    })
  })
  app.post('/ask/run', async (c) => {
    const headers = { 'content-type': 'application/json' }
    const request = new Request('http://cwm/cwm/v1/ask', {
      method: 'POST',
      headers,
      body: JSON.stringify(await questionOf(c)),
    })
    const answer = await pages.fetch(c, request)
    if (answer.ok && answer.body !== null) {
      return new Response(answer.body.pipeThrough(answerLines()), {
        headers: { 'content-type': 'application/x-ndjson', 'x-accel-buffering': 'no' },
      })
    }
    const { error } = (await answer.json()) as { readonly error: { readonly message: string } }
    return await pages.html(c, <Note kind="bad">{error.message}</Note>, {}, answer.status as 400)
  })
}

async function readChosen(rest: Ask, choice: Choice): Promise<Chosen> {
  const windows = windowsOf(choice)
  if (windows === undefined) return { names: [], total: 0, isMinimum: false, isEmpty: true }
  if (windows.names !== undefined) {
    const { names } = windows
    return { names: names.slice(0, MAX_NAMED), total: names.length, isMinimum: false, isEmpty: false }
  }
  const query = new URLSearchParams({
    limit: String(MAX_NAMED),
    count: 'true',
    state: 'frozen',
    sort: 'name',
    order: 'asc',
  })
  for (const [name, value] of Object.entries(windows)) if (value !== undefined) query.set(name, String(value))
  const {
    data,
    total = 0,
    total_is_minimum: isMinimum = false,
  } = await rest<CountedPageJson<WindowJson>>('GET', `/cwm/v1/windows?${query}`)
  return { names: data.map(({ name }) => name), total, isMinimum, isEmpty: false }
}

async function questionOf(c: Ctx): Promise<ManyAskBody> {
  const form = await c.req.parseBody()
  const windows = windowsOf(readChoice((name) => textOf(form[name])))
  if (windows === undefined) throw new CwmError('INVALID_FIELD', 'Choose windows first: by tag, name, or library.')
  const [select, maxTokens] = [textOf(form.select), textOf(form.max_tokens)]
  return {
    question: textOf(form.question),
    windows,
    reduce: (textOf(form.reduce) || 'none') as 'none',
    ...(select === '' ? {} : { select: { text: Number(select) } }),
    ...(maxTokens === '' ? {} : { max_tokens: Number(maxTokens) }),
  }
}
