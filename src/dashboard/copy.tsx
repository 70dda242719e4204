// A button that copies a text to the clipboard (assets/lists.js).

export function Copy({ text, label }: { readonly text: string; readonly label: string }) {
  return (
    <button type="button" class="copy" data-copy={text} aria-label={`Copy ${label}`}>
      Copy
    </button>
  )
}
