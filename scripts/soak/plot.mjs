// Plots memory, sockets, and requests in flight over a run as an SVG without dependencies, for light and dark pages.

import { judgedOf, MIB, medianOf, memoryOf, slopeOf } from './verdict.mjs'

const WIDTH = 860
const PANEL = 200
const LEFT = 64
const RIGHT = 120
const TOP = 40
const GAP = 56
const LINE = 15
const MAX_POINTS = 300

const style = `
  text { font: 12px system-ui, sans-serif; fill: #333 }
  .title { font-weight: 600 }
  .grid { stroke: #ddd }
  .judged { fill: #00000009 }
  polyline { fill: none; stroke-width: 1.5 }
  .a { stroke: #0a6cbd } .b { stroke: #c4560b } .c { stroke: #2e8540 } .trend { stroke: #333; stroke-dasharray: 5 4 }
  text.a { fill: #0a6cbd; stroke: none } text.b { fill: #c4560b; stroke: none } text.c { fill: #2e8540; stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #ccc } .grid { stroke: #444 } .judged { fill: #ffffff12 } .trend { stroke: #ccc }
    .a { stroke: #6cb6ff } .b { stroke: #f0a060 } .c { stroke: #7ccf8a }
    text.a { fill: #6cb6ff } text.b { fill: #f0a060 } text.c { fill: #7ccf8a }
  }`

/** The samples of a run as an SVG document. */
export function plot(samples) {
  const end = samples.at(-1).minutes
  const x = (minutes) => LEFT + (minutes / end) * (WIDTH - LEFT - RIGHT)
  const judged = judgedOf(samples)
  const memory = [
    { name: 'resident', css: 'a', read: ({ rssBytes }) => rssBytes / MIB },
    { name: 'after collection', css: 'c', read: ({ rssBytes }) => rssBytes / MIB, only: ({ collected }) => collected },
    { name: 'heap in use', css: 'b', read: ({ heapBytes }) => heapBytes / MIB },
  ]
  const sockets = [
    { name: 'open sockets', css: 'a', read: (sample) => sample.sockets },
    { name: 'in flight', css: 'c', read: ({ inFlight }) => inFlight },
  ]
  const height = TOP + 2 * PANEL + GAP + 44
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Memory and sockets of cwm during a soak">
<style>${style}
</style>
${panel({ top: TOP, title: 'Memory, MiB', lines: memory, samples, judged, x, trend: trendOf(samples) })}
${panel({ top: TOP + PANEL + GAP, title: 'Sockets and requests', lines: sockets, samples, judged, x })}
${minuteMarks(end)
  .map((minute) => text(x(minute), height - 26, minute, 'text-anchor="middle"'))
  .join('\n')}
${text(x(end / 2), height - 8, 'minutes of load (the shaded ones are judged)', 'text-anchor="middle"')}
</svg>
`
}

function panel({ top, title, lines, samples, judged, x, trend }) {
  const most = Math.max(...samples.flatMap((sample) => lines.map(({ read }) => read(sample))))
  const step = niceStep(most)
  const highest = Math.ceil(most / step) * step
  const y = (value) => top + PANEL - (value / highest) * PANEL
  const shade = `<rect class="judged" x="${round(x(judged[0].minutes))}" y="${top}" width="${round(x(samples.at(-1).minutes) - x(judged[0].minutes))}" height="${PANEL}"/>`
  const grid = []
  for (let value = 0; value <= highest; value += step) {
    grid.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${round(y(value))}" y2="${round(y(value))}"/>`)
    grid.push(text(LEFT - 8, y(value) + 4, value, 'text-anchor="end"'))
  }
  const every = Math.ceil(samples.length / MAX_POINTS)
  const shown = samples.filter((_, n) => n % every === 0)
  let lowest = top
  const drawn = lines.map(({ name, css, read, only }) => {
    const points = (only === undefined ? shown : samples.filter(only)).map((sample) => [
      x(sample.minutes),
      y(read(sample)),
    ])
    // Labels are placed from top to bottom, and moved down to avoid overlap.
    lowest = Math.max(points.at(-1)[1] + 4, lowest + LINE)
    return `${polyline(css, points)}\n${text(WIDTH - RIGHT + 8, lowest, name, `class="${css}"`)}`
  })
  const ends = trend?.map(([minutes, value]) => [x(minutes), y(value)])
  if (ends !== undefined) drawn.push(polyline('trend', ends))
  return [text(LEFT, top - 12, title, 'class="title"'), shade, ...grid, ...drawn].join('\n')
}

/** The end points of the line with the evaluated slope, through the medians. */
function trendOf(samples) {
  const points = memoryOf(samples).map(([minutes, bytes]) => [minutes, bytes / MIB])
  const slope = slopeOf(points)
  const height = medianOf(points.map(([minutes, value]) => value - slope * minutes))
  return [points[0][0], points.at(-1)[0]].map((minutes) => [minutes, height + slope * minutes])
}

function minuteMarks(end) {
  const step = end > 4 ? 1 : 0.5
  return Array.from({ length: Math.floor(end / step) + 1 }, (_, n) => n * step)
}

/** A tick step of 1, 2, or 5 times a power of ten, so that about five reach `most`. */
function niceStep(most) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most / 5)))
  return [1, 2, 5, 10].map((times) => times * power).find((step) => most / step <= 5) ?? 10 * power
}

const round = (value) => Math.round(value * 10) / 10

function polyline(css, points) {
  return `<polyline class="${css}" points="${points.map(([px, py]) => `${round(px)},${round(py)}`).join(' ')}"/>`
}

function text(px, py, words, attributes) {
  return `<text x="${round(px)}" y="${round(py)}" ${attributes}>${words}</text>`
}
