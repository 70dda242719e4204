// The address bar: it names the filter, the page and the dialog that are shown, so that a link to them can be sent and "back" returns.
// Elements say how their request changes it, with `data-history`: `dialog` for a link into the dialog, `push` for another page of a list,
// `replace` for a filter.

export function watchNavigation(dialog) {
  // Where the lists of this document stand. Another address needs a document of its own.
  let shown = address()
  // Each entry knows how many details are open above the page. A document that was loaded from the server has none.
  history.replaceState({ details: 0 }, '')
  let changed = false

  openInTab()
  document.body.addEventListener('htmx:beforeRequest', ({ detail: { elt } }) => {
    if (elt.dataset.history === 'dialog') history.pushState({ details: depth() + 1 }, '', elt.getAttribute('href'))
  })
  // A page link is gone with the list that its answer replaces; then htmx reports the request of another element.
  document.body.addEventListener('htmx:afterOnLoad', ({ detail: { requestConfig, xhr } }) => {
    const { elt } = requestConfig
    const url = xhr.getResponseHeader('x-page-url')
    if (url === null || url === shown) return
    if (elt.dataset.history === 'push') history.pushState({ details: 0 }, '', url)
    else if (elt.dataset.history === 'replace') history.replaceState({ details: 0 }, '', url)
    else return
    shown = url
  })
  document.body.addEventListener('htmx:afterRequest', ({ detail: { requestConfig, xhr } }) => {
    // htmx calls a refusal successful too, because it is shown.
    if (xhr.status < 300 && requestConfig.verb === 'post') changed = true
  })
  dialog.onClose = () => {
    if (depth() > 0) history.go(-depth())
    // A page of details is no region, because it has forms: what an action changed is loaded now.
    else if (changed && document.getElementById('detail') !== null) location.reload()
    changed = false
  }
  addEventListener('popstate', () => {
    if (depth() > 0) void dialog.load(address())
    else if (dialog.element.open) dialog.element.close()
    else if (address() !== shown) location.reload()
  })
}

const depth = () => history.state?.details ?? 0

const address = () => location.pathname + location.search

/** htmx takes every click on its links. Those that ask for a tab or a window of their own are the browser's. */
function openInTab() {
  addEventListener(
    'click',
    (event) => {
      const isPlain = !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey
      const link = event.target instanceof Element ? event.target.closest('a[hx-get]') : null
      if (!isPlain && link !== null) event.stopImmediatePropagation()
    },
    { capture: true },
  )
}
