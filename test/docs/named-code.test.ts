// Pages for contributors name files and identifiers of the code. Those exist.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { filesIn, pages, root, textOf } from './pages.ts'

const codeIn = (page: string) => [...textOf(page).matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)

/** Paths from the root such as `src/base/errors.ts` and `test/e2e`, not patterns. */
const isPath = (code: string) => /^(?:src|test|scripts|docs|config)\/[\w./-]+$/.test(code)

/** Names in mixed case, which no word of prose has, and a private `#name`. Fields that a recipe asks the reader to name are left out. */
const identifiersIn = (code: string) =>
  (code.match(/#[a-z]\w+|\b[A-Za-z]+[a-z][A-Z]\w*\b/g) ?? []).filter((name) => name !== 'yourField')

describe('files', () => {
  it.each(pages)('that %s names exist', (page) => {
    const missing = codeIn(page).filter((code) => isPath(code) && !existsSync(join(root, code)))

    expect(missing).toEqual([])
  })
})

describe('identifiers', () => {
  const sources = [...filesIn('src', ['.ts', '.tsx']), ...filesIn('test', ['.ts'])]
  const used = new Set(sources.flatMap((file) => readFileSync(join(root, file), 'utf8').match(/#?[A-Za-z_]\w*/g) ?? []))

  it.each(['CONTRIBUTING.md', 'docs/architecture.md'])('that %s names exist', (page) => {
    const named = codeIn(page)
      .filter((code) => !code.includes('/'))
      .flatMap(identifiersIn)

    expect(named.length).toBeGreaterThan(0)
    expect(named.filter((name) => !used.has(name))).toEqual([])
  })
})
