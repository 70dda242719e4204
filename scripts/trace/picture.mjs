// Draws the spans of one trace as an SVG without dependencies, for light and dark pages: a bar for each span, on one axis of time.

const WIDTH = 860
const NAMES = 150
const RIGHT = 140
const TOP = 40
const ROW = 30
const BAR = 18
const LINE = 17

const style = `
  text { font: 12px system-ui, sans-serif; fill: #333 }
  .title { font-weight: 600 } .small { fill: #666 }
  .grid { stroke: #ddd }
  .request { fill: #8a94a6 } .phase { fill: #0a6cbd } .failed { fill: #c4560b }
  @media (prefers-color-scheme: dark) {
    text { fill: #ccc } .small { fill: #999 } .grid { stroke: #444 }
    .request { fill: #6b7688 } .phase { fill: #6cb6ff } .failed { fill: #f0a060 }
  }`

/** `spans`: all of one trace, as the receiver has them. */
export function picture(spans) {
  const [request] = spans.filter(({ kind }) => kind === 2)
  if (request === undefined) throw new Error('the collector received no request')
  const phases = spans.filter((span) => span !== request).sort((a, b) => a.startMs - b.startMs)
  const rows = [request, ...phases]
  const length = Math.max(...rows.map(({ endMs }) => endMs)) - request.startMs
  const x = (ms) => NAMES + ((ms - request.startMs) / length) * (WIDTH - NAMES - RIGHT)
  const axis = TOP + rows.length * ROW + 6
  const facts = factsOf(request)
  const height = axis + 40 + facts.length * LINE
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Trace of a turn that thaws a window, streams, and is aborted">
<style>${style}
</style>
${text(8, 20, `trace ${request.traceId}, parent ${request.parentSpanId} (the client's traceparent)`, 'class="title"')}
${marksOf(length)
  .map((ms) => mark(x(request.startMs + ms), ms, axis))
  .join('\n')}
${rows.map((span, i) => bar(span, TOP + i * ROW, x, span === request)).join('\n')}
${facts.map((fact, i) => text(8, axis + 40 + i * LINE, fact, 'class="small"')).join('\n')}
</svg>
`
}

function bar(span, top, x, isRequest) {
  const { name, startMs, endMs, failed, attributes } = span
  const from = x(startMs)
  const width = Math.max(2, x(endMs) - from)
  const css = isRequest ? 'request' : failed ? 'failed' : 'phase'
  const reason = failed ? ` ${attributes['error.type']}` : ''
  return `${text(8, top + 14, name)}
<rect class="${css}" x="${round(from)}" y="${top}" width="${round(width)}" height="${BAR}" rx="2"/>
${text(round(from + width + 6), top + 14, `${durationOf(endMs - startMs)}${reason}`, 'class="small"')}`
}

function factsOf({ attributes }) {
  return Object.entries(attributes)
    .filter(([name]) => name !== 'cwm.tenant')
    .map(([name, value]) => `${name} = ${value}`)
}

function mark(at, ms, axis) {
  return `<line class="grid" x1="${round(at)}" x2="${round(at)}" y1="${TOP - 8}" y2="${axis}"/>
${text(round(at), axis + 14, `${ms} ms`, 'class="small" text-anchor="middle"')}`
}

function marksOf(length) {
  const step = [10, 20, 50, 100, 200, 500, 1000].find((size) => length / size <= 8) ?? 2_000
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, i) => i * step)
}

function durationOf(ms) {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`
}

function text(x, y, words, more = '') {
  return `<text x="${x}" y="${y}"${more === '' ? '' : ` ${more}`}>${escaped(words)}</text>`
}

function escaped(words) {
  return String(words).replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}

function round(value) {
  return Math.round(value * 10) / 10
}
