// The table of usage: a row per group, and their totals.

import type { UsageJson, UsageLineJson } from '../../wire/usage.ts'
import type { Viewer } from '../bindings.ts'
import { Note } from '../components.tsx'
import { cachedShare, percentile, type Sums, sumLines } from '../figures.ts'
import { ChoiceFilter, FilterForm } from '../filter-form.tsx'
import { formatDuration, formatNumber, formatPercent } from '../format.ts'
import { Region } from '../regions.tsx'
import { type Column, Table } from '../table.tsx'
import { choiceQuery, type Group, groups, groupsFor, spans, type UsageChoice } from './query.ts'

export const usageUrl = (choice: UsageChoice) => `/cwm/ui/usage?${choiceQuery(choice)}`

/** Rows that are shown. The file has all of them. */
const MAX_ROWS = 500

const spanTitles = Object.fromEntries(Object.entries(spans).map(([key, { title }]) => [key, title]))

export function UsageForm({ choice, viewer }: { readonly choice: UsageChoice; readonly viewer: Viewer }) {
  return (
    <FilterForm name="usage" label="Usage" path="/cwm/ui/usage">
      <ChoiceFilter name="span" label="Span" options={spanTitles} chosen={choice.span} />
      <fieldset>
        <legend>Group by</legend>
        {groupsFor(viewer).map((group) => (
          <label class="check">
            <input type="checkbox" name="by" value={group} checked={choice.by.includes(group)} />
            {groups[group]}
          </label>
        ))}
      </fieldset>
    </FilterForm>
  )
}

interface Figure extends Column {
  readonly of: (sums: Sums) => string
}

const orUnknown = (value: number | null, format: (value: number) => string) => (value === null ? '–' : format(value))

const figures: readonly Figure[] = [
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
  const total = <Row places={['Total', ...places.slice(1).map(() => '')]} sums={sumLines(data)} />
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
          <Table caption="Usage" columns={[...places.map(placeColumn), ...figures]} foot={total}>
            {data.slice(0, MAX_ROWS).map((line) => (
              <Row places={places.map((group) => placeOf(line, group))} sums={sumLines([line])} />
            ))}
          </Table>
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
          <td class="place">{place}</td>
        ),
      )}
      {figures.map(({ kind, of }) => (
        <td class={kind}>{of(sums)}</td>
      ))}
    </tr>
  )
}

const placeColumn = (group: Group): Column => ({ title: groups[group] })

function placeOf(line: UsageLineJson, group: Group): string {
  if (group === 'hour') return utc(line.at ?? '')
  if (group === 'day') return (line.at ?? '').slice(0, 10)
  return line[group] ?? ''
}

/** For example `2026-11-30 14:00`. */
const utc = (iso: string) => `${iso.slice(0, 10)} ${iso.slice(11, 16)}`
