// Reads posted forms.

/** A text field, trimmed. Empty if it is absent, or a file. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value.trim() : ''
}

/** Tags or names in a text field, separated by commas or spaces. */
export function tagsOf(value: unknown): string[] {
  const words = textOf(value).split(/[\s,]+/)
  return [...new Set(words.filter((word) => word !== ''))]
}
