// A bar that shows how full a context is. Above: the tokens in use, and what happens at which point. Below: how many of them were cached.

import { formatNumber, formatPercent } from './format.ts'

export interface GaugeProps {
  readonly used: number
  /** Of the last turn. Null if the engine did not report it. */
  readonly cached: number | null
  readonly limit: number
  /** Auto-freeze point as a share of the limit; 0 for never. */
  readonly freezeAt: number
  readonly windows: readonly { readonly name: string; readonly tokens: number }[]
  /** The window that holds what a rollover left out of the prompts. */
  readonly rollover?: string | undefined
}

const WIDTH = 200
const HEIGHT = 16
/** From this share on, the context is nearly full. */
const NEARLY_FULL = 0.9

export function Gauge({ used, cached, limit, freezeAt, windows, rollover }: GaugeProps) {
  const x = (tokens: number) => Math.min(WIDTH, Math.round((WIDTH * tokens) / limit))
  const share = used / limit
  const level = share >= NEARLY_FULL ? 'full' : share >= freezeAt && freezeAt > 0 ? 'high' : 'low'
  const label = labelOf({ used, cached, limit, freezeAt, windows, rollover })
  return (
    <span class="gauge">
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label={label}>
        <title>{label}</title>
        <rect class="track" x="0" y="2" width={WIDTH} height="7" />
        <rect class={`used ${level}`} x="0" y="2" width={x(used)} height="7" />
        <rect class={cached === null ? 'unknown' : 'track'} x="0" y="11" width={x(used)} height="4" />
        <rect class="cached" x="0" y="11" width={x(Math.min(cached ?? 0, used))} height="4" />
        {freezeAt > 0 && freezeAt < 1 ? (
          <rect class="freeze-at" x={x(limit * freezeAt)} y="0" width="1" height={HEIGHT} />
        ) : null}
        {windows.map(({ name, tokens }) => (
          <Mark kind={name === rollover ? 'rollover' : 'frozen'} x={x(tokens)} />
        ))}
      </svg>
      <span class="share" aria-hidden="true">
        {formatPercent(share)}
      </span>
    </span>
  )
}

function labelOf({ used, cached, limit, freezeAt, windows, rollover }: GaugeProps): string {
  const points = windows
    .filter(({ name }) => name !== rollover)
    .map(({ name, tokens }) => `${name} at ${formatNumber(tokens)}`)
  return [
    `${formatNumber(used)} of ${formatNumber(limit)} tokens, ${formatPercent(used / limit)}`,
    cached === null ? 'cached unknown' : `${formatNumber(cached)} cached`,
    ...(freezeAt > 0 ? [`auto-freeze point at ${formatPercent(freezeAt)}`] : []),
    ...(points.length > 0 ? [`windows: ${points.join(', ')}`] : []),
    ...(rollover === undefined ? [] : [`rolled over, complete in ${rollover}`]),
  ].join('; ')
}

/** A window is a bar, a rollover a wedge, so that they differ without colors. */
function Mark({ kind, x }: { readonly kind: 'frozen' | 'rollover'; readonly x: number }) {
  if (kind === 'frozen') return <rect class="frozen" x={Math.max(0, x - 2)} y="0" width="3" height="11" />
  return <polygon class="rollover" points={`${x - 5},0 ${x + 5},0 ${x},10`} />
}

const legend = [
  ['used low', 'Used'],
  ['used high', 'Used, past the auto-freeze point'],
  ['used full', 'Used, 90% or more'],
  ['cached', 'Cached in the last turn'],
  ['unknown', 'Cached unknown'],
  ['freeze-at', 'Auto-freeze point'],
  ['frozen', 'Window'],
  ['rollover', 'Rollover'],
] as const

/** Explains the colors and marks of gauges. */
export function GaugeLegend() {
  return (
    <ul class="legend" aria-hidden="true">
      {legend.map(([kind, words]) => (
        <li>
          <svg viewBox="0 0 18 12">
            <title>{words}</title>
            <Swatch kind={kind} />
          </svg>
          {words}
        </li>
      ))}
    </ul>
  )
}

function Swatch({ kind }: { readonly kind: string }) {
  if (kind === 'freeze-at') return <rect class={kind} x="8" y="0" width="1.5" height="12" />
  if (kind === 'frozen' || kind === 'rollover') return <Mark kind={kind} x={9} />
  const isLower = kind === 'cached' || kind === 'unknown'
  return <rect class={kind} x="0" y={isLower ? 6 : 2} width="18" height={isLower ? 4 : 7} />
}
