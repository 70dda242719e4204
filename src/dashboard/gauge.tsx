// A bar that shows how full a context is: cached tokens, the auto-freeze point, and the windows frozen from it.

import { formatNumber, formatPercent } from './format.ts'

export interface GaugeProps {
  readonly used: number
  readonly cached: number
  readonly limit: number
  /** Auto-freeze point as a share of the limit; 0 for never. */
  readonly freezeAt: number
  readonly windows: readonly { readonly name: string; readonly tokens: number }[]
}

const WIDTH = 200
const HEIGHT = 14

export function Gauge({ used, cached, limit, freezeAt, windows }: GaugeProps) {
  const x = (tokens: number) => Math.min(WIDTH, Math.round((WIDTH * tokens) / limit))
  const share = used / limit
  const level = share >= 0.9 ? 'full' : share >= freezeAt && freezeAt > 0 ? 'high' : 'low'
  const points = windows.map(({ name, tokens }) => `${name} at ${formatNumber(tokens)}`)
  const label = [
    `${formatNumber(used)} of ${formatNumber(limit)} tokens, ${formatPercent(share)}`,
    `${formatNumber(cached)} cached`,
    ...(freezeAt > 0 ? [`auto-freeze point at ${formatPercent(freezeAt)}`] : []),
    ...(points.length > 0 ? [`windows: ${points.join(', ')}`] : []),
  ].join('; ')
  return (
    <span class="gauge">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        <title>{label}</title>
        <rect class="track" x="0" y="3" width={WIDTH} height="8" rx="2" />
        <rect class={`used ${level}`} x="0" y="3" width={x(used)} height="8" rx="2" />
        <rect class="cached" x="0" y="9" width={x(Math.min(cached, used))} height="2" />
        {freezeAt > 0 && freezeAt < 1 ? (
          <rect class="freeze-at" x={x(limit * freezeAt)} y="0" width="1" height="14" />
        ) : null}
        {windows.map(({ tokens }) => (
          <rect class="frozen" x={Math.max(0, x(tokens) - 2)} y="0" width="3" height="14" rx="1" />
        ))}
      </svg>
      <span class="share" aria-hidden="true">
        {formatPercent(share)}
      </span>
    </span>
  )
}

/** Explains the colors and marks of gauges. */
export function GaugeLegend() {
  const marks = [
    ['used low', 'Used'],
    ['cached', 'Cached in the last turn'],
    ['freeze-at', 'Auto-freeze point'],
    ['frozen', 'Window'],
  ] as const
  return (
    <p class="legend" aria-hidden="true">
      {marks.map(([kind, words]) => (
        <span>
          <svg viewBox="0 0 18 12">
            <title>{words}</title>
            <Swatch kind={kind} />
          </svg>
          {words}
        </span>
      ))}
    </p>
  )
}

function Swatch({ kind }: { readonly kind: string }) {
  if (kind === 'freeze-at') return <rect class={kind} x="8" y="0" width="1" height="12" />
  if (kind === 'frozen') return <rect class={kind} x="7" y="0" width="3" height="12" rx="1" />
  return <rect class={kind} x="0" y={kind === 'cached' ? 8 : 2} width="18" height={kind === 'cached' ? 2 : 8} />
}
