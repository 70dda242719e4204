// Lists and details: how many rows are selected, a box that selects all of them, and buttons that copy.

document.body.addEventListener('change', ({ target }) => {
  if (target.matches('[data-pick-all]')) {
    for (const box of boxes()) box.checked = target.checked
  }
  countPicked()
})
// "Cancel" on a question that is a page of its own, because its link was opened in a tab.
document.body.addEventListener('submit', (event) => {
  if (event.target.getAttribute('method') !== 'dialog' || event.target.closest('dialog') !== null) return
  event.preventDefault()
  location.assign(document.querySelector('#detail .above a').href)
})
document.body.addEventListener('htmx:afterSettle', countPicked)
document.body.addEventListener('click', ({ target }) => {
  const button = target instanceof Element ? target.closest('[data-copy]') : null
  if (button !== null) void copy(button)
})
countPicked()

function boxes() {
  return [...document.querySelectorAll('input[form=bulk][name=name]')]
}

function countPicked() {
  const output = document.getElementById('picked')
  if (output === null) return
  const all = boxes()
  const picked = all.filter(({ checked }) => checked).length
  output.textContent = `${picked} selected`
  const pickAll = document.querySelector('[data-pick-all]')
  if (pickAll === null) return
  pickAll.checked = picked > 0 && picked === all.length
  pickAll.indeterminate = picked > 0 && picked < all.length
}

async function copy(button) {
  const text = button.dataset.copy
  // Browsers offer the clipboard to pages over HTTPS or from this machine only.
  const isCopied = await (navigator.clipboard?.writeText(text).then(
    () => true,
    () => false,
  ) ?? false)
  button.textContent = isCopied ? 'Copied' : 'Copy it by hand'
  if (!isCopied) select(button, text)
  setTimeout(() => {
    button.textContent = 'Copy'
  }, 2_000)
}

/** Selects the heading with the text, so that the keyboard can copy it. */
function select(button, text) {
  const heading = [...(button.closest('article')?.querySelectorAll('h2') ?? [])].find(
    ({ textContent }) => textContent === text,
  )
  if (heading !== undefined) getSelection()?.selectAllChildren(heading)
}
