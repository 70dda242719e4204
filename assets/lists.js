// Lists: how many rows of the page are selected, a box that selects all of them, and buttons that work only for a selection.

const bulk = document.getElementById('bulk')

document.body.addEventListener('change', ({ target }) => {
  if (target.matches('[data-pick-all]')) {
    for (const box of boxes()) box.checked = target.checked
  }
  showPicked()
})
// "Cancel" on a question that is a page of its own, because its link was opened in a tab.
document.body.addEventListener('submit', (event) => {
  if (event.target.getAttribute('method') !== 'dialog' || event.target.closest('dialog') !== null) return
  event.preventDefault()
  location.assign(document.querySelector('#detail .above a').href)
})
document.body.addEventListener('htmx:afterSettle', showPicked)
showPicked()

function boxes() {
  return [...document.querySelectorAll('input[form=bulk][name=name]')]
}

function showPicked() {
  if (bulk === null) return
  const all = boxes()
  const picked = all.filter(({ checked }) => checked).length
  const words = `${picked === 0 ? 'Nothing' : picked} selected on this page`
  const output = document.getElementById('picked')
  // Screen readers read it out with each change.
  if (output.textContent !== words) output.textContent = words
  allow(picked > 0)
  const pickAll = document.querySelector('[data-pick-all]')
  if (pickAll === null) return
  pickAll.checked = picked > 0 && picked === all.length
  pickAll.indeterminate = picked > 0 && picked < all.length
}

function allow(isAllowed) {
  const buttons = [...bulk.querySelectorAll('button')]
  const hadFocus = buttons.includes(document.activeElement)
  for (const button of buttons) button.disabled = !isAllowed
  // A disabled button loses the focus.
  if (hadFocus && !isAllowed) bulk.elements.tags.focus()
}
