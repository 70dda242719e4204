// Draws the charts of the last hour, in the colors of the page.

const byId = (id) => document.getElementById(id)

function drawCharts() {
  const cached = new Chart(
    'cached-chart',
    [{ label: 'cached', color: '--good', text: (value) => `${Math.round(value)}%` }],
    [0, 100],
  )
  const ms = (value) => (value < 1000 ? `${Math.round(value)} ms` : `${(value / 1000).toFixed(1)} s`)
  const ttft = new Chart('ttft-chart', [
    { label: 'mean', color: '--accent', text: ms },
    { label: 'slowest', color: '--quiet', text: ms },
  ])
  let reading = false
  const read = async () => {
    if (reading) return
    reading = true
    // A redirect leads to the login page, which the lists will follow.
    const response = await fetch('/cwm/ui/timeline', { redirect: 'manual' }).catch(() => undefined)
    reading = false
    if (response?.ok !== true) return
    const { buckets } = await response.json()
    const times = buckets.map(({ at }) => Date.parse(at) / 1000)
    const shares = buckets.map(({ turns, prompt_tokens, cached_tokens }) =>
      turns === 0 || prompt_tokens === 0 ? null : (100 * cached_tokens) / prompt_tokens,
    )
    cached.show(times, [shares])
    ttft.show(times, [buckets.map((one) => one.mean_ttft_ms), buckets.map((one) => one.max_ttft_ms)])
    const prompted = buckets.reduce((sum, { prompt_tokens }) => sum + prompt_tokens, 0)
    const hit = buckets.reduce((sum, { cached_tokens }) => sum + cached_tokens, 0)
    byId('cached-now').textContent =
      prompted === 0 ? 'no turns in the last hour' : `${Math.round((100 * hit) / prompted)}% in the last hour`
    const last = buckets.findLast(({ streams }) => streams > 0)
    byId('ttft-now').textContent = last === undefined ? 'no streams in the last hour' : `${ms(last.mean_ttft_ms)} last`
  }
  const draw = () => void read()
  draw()
  document.body.addEventListener('refresh', draw)
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    cached.forget()
    ttft.forget()
    draw()
  })
}

class Chart {
  constructor(id, lines, range) {
    this.box = byId(id)
    this.lines = lines
    this.range = range
    new ResizeObserver(() => this.plot?.setSize(this.size())).observe(this.box)
  }

  size() {
    return { width: this.box.clientWidth, height: this.box.clientHeight }
  }

  forget() {
    this.plot?.destroy()
    this.plot = undefined
  }

  show(times, values) {
    // The browser's clock may differ from the server's.
    const end = Math.max(Date.now() / 1000, times.at(-1) ?? 0)
    const begin = Math.min(end - 3600, times[0] ?? end)
    const data = [[begin, ...times, end], ...values.map((line) => [null, ...line, null])]
    if (this.plot === undefined) this.plot = new uPlot(this.options(), data, this.box)
    else this.plot.setData(data)
  }

  options() {
    const style = getComputedStyle(document.body)
    const color = (name) => style.getPropertyValue(name).trim()
    const axis = { stroke: color('--quiet'), grid: { stroke: color('--line'), width: 1 }, ticks: { show: false } }
    const { text } = this.lines[0]
    return {
      ...this.size(),
      legend: { show: false },
      cursor: { show: false },
      scales: { y: { range: this.range ?? ((_, __, max) => [0, Math.max(10, max * 1.1)]) } },
      axes: [
        { ...axis, size: 24, values: (_, ticks) => ticks.map((s) => new Date(s * 1000).toTimeString().slice(0, 5)) },
        { ...axis, size: 56, values: (_, ticks) => ticks.map((value) => text(value)) },
      ],
      series: [
        {},
        ...this.lines.map(({ label, color: name }) => ({
          label,
          stroke: color(name),
          width: 1.5,
          spanGaps: true,
          points: { show: true, size: 4 },
        })),
      ],
    }
  }
}

drawCharts()
