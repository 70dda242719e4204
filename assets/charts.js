// Draws the charts of the page from the series that it contains, in its colors; and again when they are refreshed.

const HOVER_DIGITS = 3

/** By element id. The elements stay when their region is refreshed. */
const charts = new Map()

function draw() {
  const holder = document.querySelector('[data-series]')
  if (holder === null) return
  const series = JSON.parse(holder.dataset.series)
  for (const box of holder.querySelectorAll('.chart')) {
    if (!charts.has(box.id)) charts.set(box.id, new Chart(box))
    charts.get(box.id).show(series)
  }
}

const formats = {
  rate: (value) => (value >= 1000 ? `${trim(value / 1000)}k/s` : `${trim(value)}/s`),
  percent: (value) => `${trim(value)}%`,
  ms: (value) => (value < 1000 ? `${trim(value)} ms` : `${trim(value / 1000)} s`),
}

const trim = (value) => String(Number(value.toPrecision(HOVER_DIGITS)))

/** Seconds between marks of the time axis. Not less than a minute, because marks show minutes: shortly after a start two would be equal. */
const STEPS = [60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600]

/** Ranges of the vertical axis. */
const ranges = {
  rate: (_, __, max) => [0, Math.max(0.1, (max ?? 0) * 1.1)],
  percent: () => [0, 100],
  ms: (_, __, max) => [0, Math.max(10, (max ?? 0) * 1.1)],
}

class Chart {
  constructor(box) {
    this.box = box
    this.unit = box.dataset.unit
    this.lines = JSON.parse(box.dataset.lines)
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(box)
  }

  size() {
    return { width: this.box.clientWidth, height: this.box.clientHeight }
  }

  forget() {
    this.plot?.destroy()
    this.plot = undefined
  }

  show({ begin, end, times, values }) {
    // A point on each side makes the axis as long as the span.
    const data = [[begin, ...times, end], ...this.lines.map(({ name }) => [null, ...values[name], null])]
    if (this.plot === undefined) this.plot = new uPlot(this.options(), data, this.box)
    else this.plot.setData(data)
  }

  options() {
    const style = getComputedStyle(document.body)
    const color = (name) => style.getPropertyValue(name).trim()
    const axis = {
      stroke: color('--quiet'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
      font: '12px system-ui, sans-serif',
    }
    const format = formats[this.unit]
    return {
      ...this.size(),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false } },
      scales: { y: { range: ranges[this.unit] } },
      axes: [
        { ...axis, size: 24, space: 60, incrs: STEPS, values: (_, ticks) => ticks.map(hourAndMinute) },
        { ...axis, size: 62, space: 28, values: (_, ticks) => ticks.map(format) },
      ],
      series: [
        {},
        ...this.lines.map(({ label, color: name }) => ({
          label,
          stroke: color(`--${name}`),
          width: 1.5,
          // Rates have a value in each step, so lines connect them. Others may stand alone.
          points: { size: 4, fill: color(`--${name}`), ...(this.unit === 'rate' ? {} : { show: true }) },
        })),
      ],
      hooks: { setCursor: [(plot) => this.point(plot)] },
    }
  }

  /** The values under the pointer, in the legend. */
  point({ cursor: { idx }, data }) {
    const items = this.box.parentElement.querySelectorAll('.legend li')
    for (const [n, item] of items.entries()) {
      const value = idx == null ? null : data[n + 1][idx]
      item.lastElementChild.textContent =
        value == null ? '' : ` ${formats[this.unit](value)} at ${hourAndMinute(data[0][idx])}`
    }
  }
}

/** For example `14:03`. */
const hourAndMinute = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 5)

function redraw() {
  for (const chart of charts.values()) chart.forget()
  draw()
}

// At the end, because a class cannot be used before its definition.
draw()
document.body.addEventListener('htmx:afterSettle', draw)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redraw)
