// Formats libraries: as columns of a list, in full, and the receipt of a delete.

import type { LibraryDeletionJson, LibraryJson } from '../wire/libraries.ts'
import type { Screen } from './terminal/screen.ts'
import type { Column } from './terminal/table.ts'
import { formatAge, formatCount, formatDuration, pluralize, toSingleLine } from './terminal/text.ts'

const MAX_TEXTS = 20

/** `now`: milliseconds since the epoch. */
export function libraryColumns(now: number): readonly Column<LibraryJson>[] {
  return [
    { title: 'LIBRARY', value: ({ name }) => name, elastic: true },
    { title: 'STATE', value: ({ state }) => state },
    {
      title: 'WINDOWS',
      value: ({ windows }) => windows,
      display: ({ windows }) => formatCount(windows),
      align: 'right',
    },
    { title: 'TOKENS', value: ({ tokens }) => tokens, display: ({ tokens }) => formatCount(tokens), align: 'right' },
    { title: 'TEXTS', value: ({ texts }) => texts.length, align: 'right', omit: 2 },
    { title: 'MODEL', value: ({ model }) => model, elastic: true, omit: 1 },
    {
      title: 'CHANGED',
      value: ({ changed_at }) => changed_at,
      display: ({ changed_at }) => formatAge(changed_at, now),
    },
  ]
}

export function formatLibrary(screen: Screen, library: LibraryJson): string[] {
  const { name, state, windows, tokens, tokens_per_window, texts, build, tag } = library
  const color = state === 'ready' ? 'green' : state === 'failed' ? 'red' : 'yellow'
  return [
    `${screen.style(color, state)} ${screen.style('bold', name)}: ${pluralize(windows, 'window')} of at most ${formatCount(tokens_per_window)} tokens, ${pluralize(tokens, 'token')} in all`,
    ...texts
      .slice(0, MAX_TEXTS)
      .map((text) => `  ${toSingleLine(text.title ?? '(no title)')}: ${pluralize(text.windows, 'window')}`),
    ...(texts.length > MAX_TEXTS ? [`  and ${pluralize(texts.length - MAX_TEXTS, 'more text')}`] : []),
    ...(build === null ? [] : formatBuild(screen, build)),
    ...(windows === 0 ? [] : [`ask it: cwm ask QUESTION --tag ${tag}`]),
  ]
}

function formatBuild(screen: Screen, { done, total, failure }: NonNullable<LibraryJson['build']>): string[] {
  const progress = `${formatCount(done)} of ${pluralize(total, 'window')} of the new build frozen`
  if (failure === null) return [progress]
  return [
    progress,
    screen.style('red', `window ${failure.window} failed: ${toSingleLine(failure.reason)}`),
    `to go on: ${failure.next}`,
  ]
}

export function formatLibraryDeletion(screen: Screen, receipt: LibraryDeletionJson): string[] {
  const { name, windows, windows_left, deleted_chunks, residual_chunks, open, ms } = receipt
  const left = residual_chunks === null ? 'unknown what is left' : `${pluralize(residual_chunks, 'chunk')} left`
  return [
    `${screen.style('green', 'deleted')} ${screen.style('bold', name)}: ${pluralize(windows, 'window')}, ${pluralize(deleted_chunks, 'chunk')} in LMCache, ${left}, in ${formatDuration(ms)}`,
    ...(windows_left > 0
      ? [`${pluralize(windows_left, 'window')} still being frozen, and deleted in the background`]
      : []),
    ...(open.length > 0 ? [`${pluralize(open.length, 'delete')} still open, retried in the background`] : []),
  ]
}
