// Settings of cwm that a file outside the source names, as `CWM_…` variables.

import { unknownVariables } from '../../src/config/load.ts'

/** Every `CWM_…` name in a text. */
export function namedVariables(text: string): string[] {
  return [...new Set(text.match(/\bCWM_[A-Z0-9_]+\b/g))]
}

/** Those that no cwm reads. `own`: names that the file itself defines. */
export function unknownVariablesIn(text: string, own: readonly string[] = []): readonly string[] {
  const names = namedVariables(text).filter((name) => !own.includes(name))
  return unknownVariables(Object.fromEntries(names.map((name) => [name, ''])))
}
