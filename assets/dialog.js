// The dialog: opens as soon as its content is requested, and focuses its heading when it arrives.

/** `element`: the dialog. `onClose`: set it to be called when the user closes it. */
export function watchDialog() {
  const element = document.getElementById('dialog')
  const body = document.getElementById('dialog-body')
  const errors = document.getElementById('dialog-error')
  const dialog = {
    element,
    onClose: () => {},
    isLoading: () => body.querySelector('.loading') !== null,
    showError: (words) => errors.replaceChildren(paragraph('note bad', words, 'alert')),
    /** Opens the dialog with what this address shows. */
    load: (url) => htmx.ajax('GET', url, { target: body, swap: 'innerHTML' }),
  }
  let opener = ''
  document.body.addEventListener('htmx:beforeRequest', ({ detail: { target } }) => {
    if (target !== body) return
    errors.replaceChildren()
    if (element.open) return
    opener = document.activeElement?.id
    body.replaceChildren(paragraph('loading', 'Loading…'))
    element.showModal()
  })
  document.body.addEventListener('htmx:afterSettle', ({ detail: { target } }) => {
    if (target === body) body.querySelector('h2')?.focus()
    if (target !== errors) return
    // An action on a page of details was refused: there is nothing else to wait for.
    body.querySelector('.loading')?.remove()
    element.scrollTop = 0
  })
  closeOutside(element)
  element.addEventListener('close', () => {
    body.replaceChildren()
    errors.replaceChildren()
    // The list may have been refreshed meanwhile, so the element is looked up by its id. An action may have removed it.
    if (opener) document.getElementById(opener)?.focus()
    if (document.activeElement === document.body) document.getElementById('main').focus()
    dialog.onClose()
  })
  return dialog
}

function paragraph(className, textContent, role) {
  const element = Object.assign(document.createElement('p'), { className, textContent })
  if (role !== undefined) element.role = role
  return element
}

/** A click outside closes the dialog. Selecting text and releasing outside does not. */
function closeOutside(element) {
  let pressedBeside = false
  element.addEventListener('pointerdown', (event) => {
    pressedBeside = isBeside(element, event)
  })
  element.addEventListener('click', (event) => {
    if (pressedBeside && isBeside(element, event)) element.close()
  })
}

function isBeside(element, { target, clientX, clientY }) {
  const { left, right, top, bottom } = element.getBoundingClientRect()
  return target === element && (clientX < left || clientX > right || clientY < top || clientY > bottom)
}
