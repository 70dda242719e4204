// The list of events: the newest first, of one kind or of all.

import { clock, dateAndClock } from './times.js'

const EVENTS_SHOWN = 50
const DETAILS_SHOWN = 4

const list = document.getElementById('events')
const kind = document.getElementById('kind')
/** Newest first; as many of each kind as can be shown. */
let events = []

document.body.addEventListener('cwm:event', ({ detail }) => {
  events.unshift(detail)
  const ofKind = events.filter((event) => event.kind === detail.kind)
  const surplus = ofKind[EVENTS_SHOWN]
  events = events.filter((event) => event !== surplus)
  show()
})
kind.addEventListener('change', () => {
  const query = kind.value === '' ? '' : `?kind=${kind.value}`
  history.replaceState(history.state, '', `/cwm/ui/events${query}`)
  show()
})
kind.form.addEventListener('submit', (event) => event.preventDefault())

function show() {
  const shown = events.filter((event) => kind.value === '' || event.kind === kind.value || event.kind === 'missed')
  list.replaceChildren(...shown.slice(0, EVENTS_SHOWN).map(itemOf))
  const none = document.getElementById('no-events')
  none.hidden = shown.length > 0
  none.textContent = `No events${kind.value === '' ? '' : ' of this kind'} since this page was opened.`
}

function itemOf({ at, kind: what, session_id: session, window, ...numbers }) {
  const item = document.createElement('li')
  const time = Object.assign(document.createElement('time'), {
    dateTime: at,
    title: dateAndClock(new Date(at)),
    textContent: clock(new Date(at)),
  })
  const name = Object.assign(document.createElement('strong'), { textContent: words(what) })
  // What was deleted has no page, and over all tenants a page does not know which one is meant.
  const isLinked = what !== 'deleted' && numbers.tenant === undefined
  const details = Object.entries(numbers)
    .filter(([, value]) => value !== null && value !== '')
    .slice(0, DETAILS_SHOWN)
    .map(([field, value]) => [`${words(field)} ${typeof value === 'number' ? value.toLocaleString('en-US') : value}`])
  const parts = [
    ...(window === undefined ? [] : [[isLinked ? link('windows', window) : window]]),
    ...(session === undefined ? [] : [['session ', isLinked ? link('sessions', session) : session]]),
    ...details,
  ]
  item.append(time, ' ', name, ' ', ...parts.flatMap((part, n) => (n === 0 ? part : [' · ', ...part])))
  return item
}

const words = (name) => name.replaceAll('_', ' ')

function link(tab, name) {
  return Object.assign(document.createElement('a'), {
    href: `/cwm/ui/${tab}/${encodeURIComponent(name)}`,
    textContent: name,
  })
}
