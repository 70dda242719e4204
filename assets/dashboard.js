// The script of every page, besides htmx: navigation, the dialog, live updates, and the notice when cwm is unreachable.

import { watchCopies } from './copy.js'
import { watchDialog } from './dialog.js'
import { startLive } from './live.js'
import { watchNavigation } from './navigation.js'
import { watchTimes } from './times.js'

const dialog = watchDialog()
watchNavigation(dialog)
watchOffline(dialog)
keepChecks()
watchCopies()
watchTimes()
// htmx listens to the page from this event on.
document.addEventListener('DOMContentLoaded', startLive)

function watchOffline({ element, showError, isLoading }) {
  const offline = document.getElementById('offline')
  const showOffline = () => {
    offline.hidden = false
    if (isLoading()) element.close()
    // The input in a form stays, and the message appears where it is visible.
    if (element.open) showError('cwm does not answer. Your input is kept: try again.')
  }
  document.body.addEventListener('htmx:sendError', showOffline)
  document.body.addEventListener('htmx:timeout', showOffline)
  document.body.addEventListener('htmx:afterRequest', (event) => {
    if (event.detail.xhr.status > 0) offline.hidden = true
  })
}

/** Boxes in a region stay checked when it is refreshed, if they have an id. */
function keepChecks() {
  let checked = []
  document.body.addEventListener('htmx:beforeSwap', ({ detail }) => {
    checked = [...detail.target.querySelectorAll('input[type=checkbox][id]:checked')].map(({ id }) => id)
  })
  document.body.addEventListener('htmx:afterSwap', () => {
    for (const id of checked) {
      const box = document.getElementById(id)
      if (box !== null) box.checked = true
    }
    checked = []
  })
}
