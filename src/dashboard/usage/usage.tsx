// The table of usage: a row per group, and their totals.

import type { UsageJson, UsageLineJson } from '../../wire/usage.ts'
import type { Viewer } from '../bindings.ts'
import { Note } from '../components.tsx'
import { cachedShare, percentile, type Sums, sumLines } from '../figures.ts'
import { formatDuration, formatNumber, formatPercent } from '../format.ts'
import { Region } from '../regions.tsx'
import { choiceQuery, type Group, groups, groupsFor, spans, type UsageChoice } from './query.ts'

export const usageUrl = (choice: UsageChoice) => `/cwm/ui/usage?${choiceQuery(choice)}`

/** Rows that are shown. The file has all of them. */
const MAX_ROWS = 500

export function UsageForm({ choice, viewer }: { readonly choice: UsageChoice; readonly viewer: Viewer }) {
  return (
    <form
      id="usage-form"
      class="filter"
      action="/cwm/ui/usage"
      hx-get="/cwm/ui/usage"
      hx-target="#usage"
      hx-swap="outerHTML"
      hx-trigger="change, submit"
      hx-sync="#usage:replace"
      data-history="replace"
    >
      <label>
        <span>Span</span>
        <select id="span" name="span">
          {Object.entries(spans).map(([key, { title }]) => (
            <option value={key} selected={key === choice.span}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <fieldset>
        <legend>Group by</legend>
        {groupsFor(viewer).map((group) => (
          <label class="check">
            <input type="checkbox" name="by" value={group} checked={choice.by.includes(group)} />
            {groups[group]}
          </label>
        ))}
      </fieldset>
    </form>
  )
}

interface Column {
  readonly title: string
  readonly kind: string
  readonly of: (sums: Sums) => string
}

const orUnknown = (value: number | null, format: (value: number) => string) => (value === null ? '–' : format(value))

const columns: readonly Column[] = [
  { title: 'Requests', kind: 'number', of: ({ requests }) => formatNumber(requests) },
  { title: 'Errors', kind: 'number', of: ({ errors }) => formatNumber(errors) },
  { title: 'Prompt tokens', kind: 'number', of: ({ promptTokens }) => orUnknown(promptTokens, formatNumber) },
  { title: 'Cached', kind: 'number', of: (sums) => orUnknown(cachedShare(sums), formatPercent) },
  { title: 'Computed', kind: 'number wide', of: ({ computedTokens }) => orUnknown(computedTokens, formatNumber) },
  { title: 'Answer tokens', kind: 'number wide', of: (sums) => orUnknown(sums.completionTokens, formatNumber) },
  { title: 'Price of isolation', kind: 'number wide', of: ({ repeatedTokens }) => formatNumber(repeatedTokens) },
  {
    title: 'First token p50',
    kind: 'number wide',
    of: ({ buckets }) => orUnknown(percentile(buckets, 0.5), formatDuration),
  },
  { title: 'p95', kind: 'number wide', of: ({ buckets }) => orUnknown(percentile(buckets, 0.95), formatDuration) },
]

export function Usage({ choice, usage }: { readonly choice: UsageChoice; readonly usage: UsageJson }) {
  const places = choice.by.filter((group) => group !== 'day' || !choice.by.includes('hour'))
  const { data, advice } = usage
  return (
    <Region id="usage" url={usageUrl(choice)}>
      <p class="quiet">
        {utc(usage.from)} to {utc(usage.to)} (UTC).{' '}
        <a href={`/cwm/ui/usage.csv?${choiceQuery(choice)}`} download="cwm-usage.csv">
          Download CSV
        </a>
      </p>
      {data.length === 0 ? (
        <p class="empty">No requests in this span.</p>
      ) : (
        <section class="scroll" aria-label="Table of usage" tabindex={0}>
          <table>
            <thead>
              <tr>
                {places.map((group) => (
                  <th scope="col">{groups[group]}</th>
                ))}
                {columns.map(({ title, kind }) => (
                  <th scope="col" class={kind}>
                    {title}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {data.slice(0, MAX_ROWS).map((line) => (
                <Row places={places.map((group) => placeOf(line, group))} sums={sumLines([line])} />
              ))}
            </tbody>
            <tfoot>
              <Row places={['Total', ...places.slice(1).map(() => '')]} sums={sumLines(data)} />
            </tfoot>
          </table>
        </section>
      )}
      {data.length > MAX_ROWS ? (
        <Note kind="quiet">
          The first {MAX_ROWS} of {formatNumber(data.length)} rows. The total is of all; the CSV file has all.
        </Note>
      ) : null}
      {advice === null ? null : <Note kind="weak">Advice: {advice}.</Note>}
    </Region>
  )
}

function Row({ places, sums }: { readonly places: readonly string[]; readonly sums: Sums }) {
  return (
    <tr>
      {places.map((place, n) =>
        n === 0 ? (
          <th scope="row" class="place">
            {place}
          </th>
        ) : (
          <td>{place}</td>
        ),
      )}
      {columns.map(({ kind, of }) => (
        <td class={kind}>{of(sums)}</td>
      ))}
    </tr>
  )
}

function placeOf(line: UsageLineJson, group: Group): string {
  if (group === 'hour') return utc(line.at ?? '')
  if (group === 'day') return (line.at ?? '').slice(0, 10)
  return line[group] ?? ''
}

/** For example `2026-11-30 14:00`. */
const utc = (iso: string) => `${iso.slice(0, 10)} ${iso.slice(11, 16)}`
