// Parses YAML that may contain secrets. Errors are reported by kind and position only, because the parser's own messages and warnings
// quote the line.

import { type Document, LineCounter, parseDocument, visit } from 'yaml'

export type ParsedYaml =
  | { readonly value: unknown; readonly fault?: never }
  /** Kind of the error with line and column, both from 1. Contains nothing of the text. */
  | { readonly value?: never; readonly fault: string }

/** Returns the value of a text, or its first error. Never throws. */
export function parseYaml(text: string): ParsedYaml {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const error = firstFault(document)
  if (error !== undefined) {
    const { line, col } = lines.linePos(error.at)
    return { fault: `${error.kind} at line ${line}, column ${col}` }
  }
  try {
    return { value: document.toJS() as unknown }
  } catch {
    return { fault: 'its aliases cannot be expanded' }
  }
}

function firstFault(document: Document.Parsed): { readonly kind: string; readonly at: number } | undefined {
  const [error] = document.errors
  if (error !== undefined) return { kind: error.code.toLowerCase().replaceAll('_', ' '), at: error.pos[0] }
  let at: number | undefined
  // An unquoted value that starts with an asterisk is an alias. The parser checks that it resolves only when it is expanded.
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return undefined
      at = alias.range?.[0]
      return visit.BREAK
    },
  })
  return at === undefined ? undefined : { kind: 'alias without an anchor', at }
}
