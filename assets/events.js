// The list of events: the newest first.

const EVENTS_SHOWN = 50

document.body.addEventListener('cwm:event', ({ detail }) => addEvent(detail))

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
  const list = document.getElementById('events')
  list.prepend(item)
  while (list.children.length > EVENTS_SHOWN) list.lastChild.remove()
  document.getElementById('no-events').hidden = true
}
