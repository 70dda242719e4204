// Reads posted forms.

/** A text field, trimmed. Empty if it is absent, or a file. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value.trim() : ''
}
