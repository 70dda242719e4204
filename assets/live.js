// Keeps a page up to date while it is visible: one stream of events, and a refresh every ten seconds. A hidden page asks for nothing; when it
// is shown, it catches up.

const REFRESH_MS = 10_000
/** Events that arrive together cause a single refresh. */
const SETTLE_MS = 1_000
const RECONNECT_MS = 30_000
const HEALTH_MS = 30_000
const KINDS = [
  'frozen',
  'thawed',
  'truncated',
  'rolled_over',
  'prefix_broken',
  'thaw_lost',
  'deleted',
  'engine',
  'missed',
]

let source
/** Id of the last event that arrived, to continue after it. */
let last = ''
const timers = new Map()

export function startLive() {
  const follow = () => {
    if (document.hidden) pause()
    else resume()
  }
  document.addEventListener('visibilitychange', follow)
  // A page in the browser's back-forward cache is hidden too.
  addEventListener('pagehide', pause)
  addEventListener('pageshow', follow)
  follow()
}

function pause() {
  source?.close()
  source = undefined
  for (const timer of timers.values()) clearTimeout(timer)
  timers.clear()
}

function resume() {
  if (source !== undefined || timers.has('reconnect')) return
  listen()
  checkHealth()
  repeat('refresh', REFRESH_MS, refresh)
  repeat('health', HEALTH_MS, checkHealth)
}

function later(name, ms, what) {
  if (timers.has(name)) return
  const timer = setTimeout(() => {
    timers.delete(name)
    what()
  }, ms)
  timers.set(name, timer)
}

function repeat(name, ms, what) {
  later(name, ms, () => {
    repeat(name, ms, what)
    what()
  })
}

function refresh() {
  htmx.trigger(document.body, 'refresh')
}

function checkHealth() {
  htmx.trigger(document.body, 'health')
}

function listen() {
  const after = last === '' ? '' : `?after=${encodeURIComponent(last)}`
  source = new EventSource(`/cwm/ui/live${after}`)
  for (const kind of KINDS) source.addEventListener(kind, onEvent)
  source.addEventListener('open', () => {
    show('good', 'live')
    // Catches up on what happened before the connection.
    refresh()
  })
  source.addEventListener('error', () => {
    show('weak', 'reconnecting…')
    if (source?.readyState !== EventSource.CLOSED) return
    source = undefined
    later('reconnect', RECONNECT_MS, listen)
  })
}

function onEvent(event) {
  last = event.lastEventId || last
  document.body.dispatchEvent(new CustomEvent('cwm:event', { detail: JSON.parse(event.data) }))
  later('settle', SETTLE_MS, refresh)
}

function show(state, words) {
  const live = document.getElementById('live')
  live.className = `state ${state}`
  live.textContent = words
}
