// Lists: how many rows are selected, and a box that selects all of them.

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
