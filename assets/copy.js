// Buttons that copy a text, such as an id.

const SHOWN_MS = 2_000

export function watchCopies() {
  document.body.addEventListener('click', ({ target }) => {
    const button = target instanceof Element ? target.closest('[data-copy]') : null
    if (button !== null) void copy(button)
  })
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
  }, SHOWN_MS)
}

/** Selects the text where it stands beside the button, so that the keyboard can copy it. */
function select(button, text) {
  const beside = [...(button.closest('article, th')?.querySelectorAll('h2, .id') ?? [])]
  const found = beside.find(({ textContent }) => textContent === text)
  if (found !== undefined) getSelection()?.selectAllChildren(found)
}
