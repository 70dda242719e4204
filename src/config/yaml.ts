// YAML of a file that may hold secrets: what is wrong with it is told by kind and place. The parser's own messages and warnings quote
// the line, and are shown nowhere.

import { type Document, LineCounter, parseDocument, visit } from 'yaml'

export type ParsedYaml =
  | { readonly value: unknown; readonly fault?: never }
  /** In words, with line and column from 1, without anything that stands in the text. */
  | { readonly value?: never; readonly fault: string }

/** The value of a text, or its first fault. Never throws. */
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
    return { fault: 'it cannot be expanded' }
  }
}

function firstFault(document: Document.Parsed): { readonly kind: string; readonly at: number } | undefined {
  const [error] = document.errors
  if (error !== undefined) return { kind: error.code.toLowerCase().replaceAll('_', ' '), at: error.pos[0] }
  let at: number | undefined
  // A value that begins with an asterisk, and stands without quotes, is an alias: the parser finds out only when it is expanded.
  visit(document, {
    Alias: (_, alias) => {
      if (alias.resolve(document) !== undefined) return undefined
      at = alias.range?.[0]
      return visit.BREAK
    },
  })
  return at === undefined ? undefined : { kind: 'alias without an anchor', at }
}
