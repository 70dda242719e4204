// Which windows a question goes to: in the address of the page, in the form, and as REST's body.

import type { ManyAskBody } from '../../wire/many-asks.ts'
import type { Ctx } from '../bindings.ts'
import { tagsOf } from '../forms.ts'

export const selectionModes = ['names', 'filter', 'library'] as const
export type SelectionMode = (typeof selectionModes)[number]

/** As the form sends it. Only the fields of the selected mode count. */
export interface Choice {
  readonly by: SelectionMode
  readonly names: string
  readonly tag: string
  readonly search: string
  readonly library: string
}

export function readChoice(read: (name: string) => string): Choice {
  const [names, tag, search, library] = [read('names'), read('tag'), read('search'), read('library')]
  const given = read('by')
  const otherwise = names !== '' ? 'names' : library !== '' ? 'library' : 'filter'
  return { by: selectionModes.find((mode) => mode === given) ?? otherwise, names, tag, search, library }
}

export function choiceOf(c: Ctx): Choice {
  return readChoice((name) => (c.req.query(name) ?? '').trim())
}

export function askUrl({ by, names, tag, search, library }: Choice): string {
  const chosen = { names: { names }, filter: { tag, search }, library: { library } }[by]
  const query = new URLSearchParams(by === 'filter' ? {} : { by })
  for (const [name, value] of Object.entries(chosen)) if (value !== '') query.set(name, value)
  return `/cwm/ui/ask${query.size === 0 ? '' : `?${query}`}`
}

/** Undefined if nothing is chosen. */
export function windowsOf({ by, names, tag, search, library }: Choice): ManyAskBody['windows'] | undefined {
  if (by === 'names') {
    const listed = tagsOf(names)
    return listed.length === 0 ? undefined : { names: listed }
  }
  const wanted = by === 'library' ? { tag: library === '' ? '' : `library:${library}`, search: '' } : { tag, search }
  if (wanted.tag === '' && wanted.search === '') return undefined
  return {
    ...(wanted.tag === '' ? {} : { tag: wanted.tag }),
    ...(wanted.search === '' ? {} : { search: wanted.search }),
  }
}
