// One change to the selected windows, first asked for and then made.

import { CwmError } from '../../base/errors.ts'
import type { BulkAnswerJson, BulkBody } from '../../wire/bulk.ts'
import type { WindowJson } from '../../wire/windows.ts'
import type { App, Ctx } from '../bindings.ts'
import { tagsOf, textOf } from '../forms.ts'
import { type Pages, refreshLists } from '../pages.tsx'
import { windowApiPath } from '../queries.ts'
import { type BulkAction, BulkReceipt, bulkWords, ConfirmBulk } from './bulk.tsx'

interface Selection {
  readonly action: BulkAction
  readonly names: readonly string[]
  readonly tags: readonly string[]
  readonly sessions: 'keep' | 'end'
}

export function mountBulk(app: App, pages: Pages): void {
  app.post('/windows/bulk/confirm', async (c) => {
    const { action, names, tags } = await selectionOf(c)
    const ask = pages.ask(c)
    const shown =
      action !== 'delete' ? [] : await Promise.all(names.map((name) => ask<WindowJson>('GET', windowApiPath(name))))
    const dependents = shown.flatMap(({ name, base_of }) =>
      base_of === undefined || base_of.count === 0 ? [] : [[name, base_of] as const],
    )
    return await pages.html(c, <ConfirmBulk action={action} names={names} tags={tags} dependents={dependents} />)
  })
  app.post('/windows/bulk', async (c) => {
    const { action, names, tags, sessions } = await selectionOf(c)
    const body: BulkBody = { names: [...names], action, sessions, ...(tags.length === 0 ? {} : { tags: [...tags] }) }
    const answer = await pages.ask(c)<BulkAnswerJson>('POST', '/cwm/v1/windows/bulk', body)
    return await pages.html(c, <BulkReceipt answer={answer} />, refreshLists)
  })
}

async function selectionOf(c: Ctx): Promise<Selection> {
  const form = await c.req.parseBody({ all: true })
  const action = textOf(form.action)
  if (!Object.hasOwn(bulkWords, action)) throw invalid('Choose an action.')
  const names = [form.name ?? []].flat().map(textOf)
  if (names.length === 0) throw invalid('Select windows first, with the boxes in the list.')
  const takesTags = action === 'tag' || action === 'untag'
  const tags = takesTags ? tagsOf(form.tags) : []
  if (takesTags && tags.length === 0) throw invalid('Write one tag or more into the field Tags first.')
  return { action: action as BulkAction, names, tags, sessions: textOf(form.sessions) === 'end' ? 'end' : 'keep' }
}

function invalid(message: string): CwmError {
  return new CwmError('INVALID_FIELD', message)
}
