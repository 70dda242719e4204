// What a tenant holds, and two charts of its last hour.

import type { TenantJson } from '../../wire/tenants.ts'
import { formatBytes, formatNumber } from '../format.ts'
import { Region } from '../regions.tsx'

export function Summary({ tenant: { usage } }: { readonly tenant: TenantJson }) {
  const totals = [
    ['Sessions', formatNumber(usage.sessions)],
    ['Windows', formatNumber(usage.windows)],
    ['Pinned tokens', formatNumber(usage.pinned_tokens)],
    ['Stored', formatBytes(usage.window_bytes)],
  ] as const
  return (
    <Region id="summary" url="/cwm/ui">
      <dl class="cards">
        {totals.map(([name, value]) => (
          <div>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Region>
  )
}

export function Charts() {
  return (
    <section class="charts" aria-label="Last hour">
      <figure>
        <figcaption>
          Cached share of prompts <output id="cached-now" />
        </figcaption>
        <div id="cached-chart" class="chart" role="img" aria-label="Cached share of prompts over the last hour" />
      </figure>
      <figure>
        <figcaption>
          Time to first token, mean and slowest <output id="ttft-now" />
        </figcaption>
        <div id="ttft-chart" class="chart" role="img" aria-label="Time to first token over the last hour" />
      </figure>
    </section>
  )
}
