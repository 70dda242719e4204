// The pages' script besides htmx: the dialog, live events, two charts, and the notice when cwm is unreachable.

const REFRESH_MS = 10_000
/** Events that arrive together cause a single refresh. */
const SETTLE_MS = 1_000
const RECONNECT_MS = 30_000
const EVENTS_SHOWN = 50

const byId = (id) => document.getElementById(id)

function refresh() {
  htmx.trigger(document.body, 'refresh')
}

/** Opens the dialog as soon as its content is requested, and focuses its heading when it arrives. */
function watchDialog() {
  const dialog = byId('dialog')
  const body = byId('dialog-body')
  let opener = ''
  const isForDialog = (event) => event.detail.target === body
  document.body.addEventListener('htmx:beforeRequest', (event) => {
    if (!isForDialog(event)) return
    byId('dialog-error').replaceChildren()
    if (dialog.open) return
    opener = document.activeElement?.id
    body.replaceChildren(Object.assign(document.createElement('p'), { className: 'loading', textContent: 'Loading…' }))
    dialog.showModal()
  })
  document.body.addEventListener('htmx:afterSettle', (event) => {
    if (isForDialog(event)) body.querySelector('h2')?.focus()
    else if (event.detail.target === byId('dialog-error')) dialog.scrollTop = 0
  })
  // A click outside closes the dialog. Selecting text and releasing outside does not.
  let pressedBeside = false
  dialog.addEventListener('pointerdown', (event) => {
    pressedBeside = isBeside(dialog, event)
  })
  dialog.addEventListener('click', (event) => {
    if (pressedBeside && isBeside(dialog, event)) dialog.close()
  })
  dialog.addEventListener('close', () => {
    body.replaceChildren()
    // The list may have been refreshed meanwhile, so the element is looked up by its id.
    if (opener) byId(opener)?.focus()
  })
}

function isBeside(dialog, { target, clientX, clientY }) {
  const { left, right, top, bottom } = dialog.getBoundingClientRect()
  return target === dialog && (clientX < left || clientX > right || clientY < top || clientY > bottom)
}

function watchOffline() {
  const offline = byId('offline')
  const showOffline = () => {
    offline.hidden = false
    if (document.querySelector('#dialog-body .loading') !== null) byId('dialog').close()
    // The input in a form stays, and the message appears where it is visible.
    const words = {
      className: 'note bad',
      role: 'alert',
      textContent: 'cwm does not answer. Your input is kept: try again.',
    }
    if (byId('dialog').open) byId('dialog-error').replaceChildren(Object.assign(document.createElement('p'), words))
  }
  document.body.addEventListener('htmx:sendError', showOffline)
  document.body.addEventListener('htmx:timeout', showOffline)
  document.body.addEventListener('htmx:afterRequest', (event) => {
    if (event.detail.xhr.status > 0) offline.hidden = true
  })
}

function listen() {
  const live = byId('live')
  const show = (state, words) => {
    live.className = `state ${state}`
    live.textContent = words
  }
  let settling = 0
  const onEvent = (event) => {
    addEvent(JSON.parse(event.data))
    if (settling === 0)
      settling = setTimeout(() => {
        settling = 0
        refresh()
      }, SETTLE_MS)
  }
  const source = new EventSource('/cwm/ui/events')
  for (const kind of ['frozen', 'thawed', 'truncated', 'rolled_over', 'prefix_broken', 'deleted', 'missed']) {
    source.addEventListener(kind, onEvent)
  }
  source.addEventListener('open', () => {
    show('good', 'live')
    // Catches up on events before the connection.
    refresh()
  })
  source.addEventListener('error', () => {
    show('weak', 'reconnecting…')
    if (source.readyState !== EventSource.CLOSED) return
    source.close()
    setTimeout(listen, RECONNECT_MS)
  })
}

function addEvent({ at, kind, session_id: session, window, ...numbers }) {
  const item = document.createElement('li')
  const time = Object.assign(document.createElement('time'), {
    dateTime: at,
    textContent: new Date(at).toTimeString().slice(0, 8),
  })
  const what = Object.assign(document.createElement('strong'), { textContent: kind.replaceAll('_', ' ') })
  const details = Object.entries(numbers)
    .filter(([, value]) => value !== null && value !== '')
    .slice(0, 4)
    .map(
      ([name, value]) =>
        `${name.replaceAll('_', ' ')} ${typeof value === 'number' ? value.toLocaleString('en-US') : value}`,
    )
  const words = [window, session === undefined ? undefined : `session ${session}`, ...details]
  item.append(time, ' ', what, ` ${words.filter((word) => word !== undefined).join(' · ')}`)
  const list = byId('events')
  list.prepend(item)
  while (list.children.length > EVENTS_SHOWN) list.lastChild.remove()
  byId('no-events').hidden = true
}

/** Draws the charts of the last hour, in the colors of the page. */
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

// At the end, because a class cannot be used before its definition.
if (byId('dialog') !== null) {
  watchDialog()
  watchOffline()
  listen()
  drawCharts()
  setInterval(() => {
    if (!document.hidden) refresh()
  }, REFRESH_MS)
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden) refresh()
  })
}
