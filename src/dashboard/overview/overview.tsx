// What a tenant holds, and the charts of its last hour or day. The charts' numbers are in the page: its script draws them, and draws them
// again when the region is refreshed.

import type { TenantJson } from '../../wire/tenants.ts'
import type { UsageJson } from '../../wire/usage.ts'
import { Note } from '../components.tsx'
import { cachedShare, isolationPrice, percentile, type Sums, sumLines } from '../figures.ts'
import { formatBytes, formatDuration, formatNumber, formatPercent, pluralize } from '../format.ts'
import { Region } from '../regions.tsx'
import { type SeriesName, type Span, seriesOf, spans } from './series.ts'

export interface OverviewProps {
  readonly span: Span
  readonly usage: UsageJson
  /** Undefined for the operator, over all tenants. */
  readonly tenant: TenantJson | undefined
  readonly now: number
}

export const overviewUrl = (span: Span) => (span === 'hour' ? '/cwm/ui' : `/cwm/ui?span=${span}`)

export function Overview({ span, usage, tenant, now }: OverviewProps) {
  const sums = sumLines(usage.data)
  return (
    <Region id="overview" url={overviewUrl(span)}>
      <SpanLinks span={span} />
      {tenant === undefined ? null : <Holdings tenant={tenant} />}
      <div class="charts" data-series={JSON.stringify(seriesOf(usage.data, span, now))}>
        {charts.map((chart) => (
          <ChartFigure chart={chart} total={chart.total(sums)} />
        ))}
      </div>
      {usage.advice === null ? null : <Note kind="weak">Advice: {usage.advice}.</Note>}
    </Region>
  )
}

function SpanLinks({ span }: { readonly span: Span }) {
  return (
    <nav class="choices" aria-label="Span">
      {(Object.keys(spans) as Span[]).map((one) => (
        <a
          id={`span-${one}`}
          href={overviewUrl(one)}
          hx-get={overviewUrl(one)}
          hx-target="#overview"
          hx-swap="outerHTML"
          hx-sync="#overview:replace"
          data-history="push"
          aria-current={one === span ? 'true' : undefined}
        >
          {spans[one].title}
        </a>
      ))}
    </nav>
  )
}

function Holdings({ tenant: { id, usage } }: { readonly tenant: TenantJson }) {
  const totals = [
    ['Tenant', id],
    ['Sessions', formatNumber(usage.sessions)],
    ['Windows', formatNumber(usage.windows)],
    ['Pinned tokens', formatNumber(usage.pinned_tokens)],
    ['Stored text', formatBytes(usage.window_bytes)],
  ] as const
  return (
    <dl class="cards">
      {totals.map(([name, value]) => (
        <div>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

interface Line {
  readonly name: SeriesName
  readonly label: string
  /** A color of the page. */
  readonly color: 'accent' | 'good' | 'weak' | 'bad' | 'quiet'
}

interface ChartSpec {
  readonly id: string
  readonly title: string
  /** How the script writes values. */
  readonly unit: 'rate' | 'percent' | 'ms'
  readonly lines: readonly Line[]
  /** Of the whole span. */
  readonly total: (sums: Sums) => string
}

const NO_DATA = 'no data'
const orNoData = (value: number | null, format: (value: number) => string) => (value === null ? NO_DATA : format(value))

const charts: readonly ChartSpec[] = [
  {
    id: 'requests',
    title: 'Requests per second',
    unit: 'rate',
    lines: [
      { name: 'requests', label: 'All requests', color: 'accent' },
      { name: 'errors', label: 'Errors', color: 'bad' },
    ],
    total: ({ requests, errors }) => `${pluralize(requests, 'request')}, ${pluralize(errors, 'error')}`,
  },
  {
    id: 'tokens',
    title: 'Tokens per second',
    unit: 'rate',
    lines: [
      { name: 'prompt', label: 'Prompt', color: 'accent' },
      { name: 'completion', label: 'Answer', color: 'weak' },
    ],
    total: ({ promptTokens, completionTokens }) =>
      orNoData(promptTokens, (tokens) => `${pluralize(tokens + (completionTokens ?? 0), 'token')}`),
  },
  {
    id: 'cached',
    title: 'Cached share of prompts',
    unit: 'percent',
    lines: [{ name: 'cached', label: 'Cached', color: 'good' }],
    total: (sums) => orNoData(cachedShare(sums), formatPercent),
  },
  {
    id: 'first-token',
    title: 'Time to first token',
    unit: 'ms',
    lines: [
      { name: 'p50', label: 'p50', color: 'accent' },
      { name: 'p95', label: 'p95', color: 'weak' },
    ],
    total: ({ buckets }) =>
      orNoData(
        percentile(buckets, 0.5),
        (p50) => `p50 ${formatDuration(p50)}, p95 ${formatDuration(percentile(buckets, 0.95) ?? p50)}`,
      ),
  },
  {
    id: 'queue',
    title: 'Longest wait in the queue',
    unit: 'ms',
    lines: [{ name: 'queue', label: 'Longest wait', color: 'accent' }],
    total: ({ longestQueueMs }) => orNoData(longestQueueMs, formatDuration),
  },
  {
    id: 'price',
    title: 'Price of isolation',
    unit: 'percent',
    lines: [{ name: 'price', label: 'Share of computed tokens, estimated', color: 'weak' }],
    total: (sums) =>
      orNoData(
        isolationPrice(sums),
        (share) => `${pluralize(sums.repeatedTokens, 'token')}, ${formatPercent(share)} of computed`,
      ),
  },
]

/** The chart itself stays when the region is refreshed. */
function ChartFigure({
  chart: { id, title, unit, lines },
  total,
}: {
  readonly chart: ChartSpec
  readonly total: string
}) {
  return (
    <figure>
      <figcaption>
        <h2>{title}</h2>
        <output>{total}</output>
      </figcaption>
      <div
        id={`chart-${id}`}
        class="chart"
        role="img"
        aria-label={`Chart: ${title}`}
        hx-preserve="true"
        data-unit={unit}
        data-lines={JSON.stringify(lines)}
      />
      <ul class="legend">
        {lines.map(({ label, color }) => (
          <li>
            <span class={`swatch ${color}`} aria-hidden="true" />
            {label}
            <output />
          </li>
        ))}
      </ul>
    </figure>
  )
}
