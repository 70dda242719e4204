// Citations of docs/ in comments point to existing pages and sections, and file names in pages point to existing files.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { anchorsOf, filesIn, pages, root, textOf } from './pages.ts'

/** This file cites things that do not exist. */
const THIS = 'test/docs/citations.test.ts'
const sources = ['src', 'test', 'scripts', 'examples']
  .flatMap((folder) => filesIn(folder, ['.ts', '.tsx', '.mjs', '.js', '.sh', '.py']))
  .filter((file) => file !== THIS)
const decisions = filesIn('docs/decisions', ['.md'])

/** The fault of a citation like `docs/engine-behavior.md#pins` or `docs/decisions/0003`, if any. */
function faultOf(citation: string): string | undefined {
  if (/^docs\/decisions\/\d{4}$/.test(citation)) {
    return decisions.some((file) => file.startsWith(`${citation}-`)) ? undefined : 'no such decision'
  }
  const [page = '', anchor] = citation.split('#')
  if (!existsSync(join(root, page))) return 'no such page'
  return anchor === undefined || anchorsOf(page).has(anchor) ? undefined : 'no such section'
}

/** The faulty citations of one file. */
function faultsIn(file: string): string[] {
  const cited = readFileSync(join(root, file), 'utf8').matchAll(
    /(?<![\w./-])docs\/(?:decisions\/\d{4}(?![\w-])|[\w/-]+\.md(?:#[\w-]+)?)/g,
  )
  return [...new Set([...cited].map(([citation]) => citation))].flatMap((citation) => {
    const fault = faultOf(citation)
    return fault === undefined ? [] : [`${file}: ${citation}: ${fault}`]
  })
}

describe('citations', () => {
  it('in the code point to a page and a section', () => {
    expect(sources.flatMap(faultsIn)).toEqual([])
  })

  it('distinguish missing sections from existing ones', () => {
    expect(['docs/engine-behavior.md#pins', 'docs/decisions/0003'].map(faultOf)).toEqual([undefined, undefined])
    expect(['docs/engine-behavior.md#pin', 'docs/nowhere.md', 'docs/decisions/9999'].map(faultOf)).toEqual([
      'no such section',
      'no such page',
      'no such decision',
    ])
  })

  it.each(pages)('of files in %s are of existing files', (page) => {
    const named = [...textOf(page).matchAll(/`((?:src|test|scripts|examples|config)\/[\w./-]*\w)`/g)]
    const missing = named.map(([, path = '']) => path).filter((path) => !existsSync(join(root, path)))

    expect(missing).toEqual([])
  })
})

describe('a decision', () => {
  const index = textOf('docs/decisions/README.md')

  it.each(decisions.filter((file) => /\/\d{4}-/.test(file)))(
    '%s has a date and a status, and is listed with both',
    (file) => {
      const [title = '', , stated = ''] = textOf(file).split('\n')
      const [, number, name] = /^# (\d+)\. (.*)$/.exec(title) ?? []
      const [date, status] = stated.split(', ')

      expect(stated).toMatch(/^\d{4}-\d\d-\d\d, (proposed|accepted|superseded by \d+)$/)
      expect(index).toContain(
        `| ${number} | [${name}](${file.slice('docs/decisions/'.length)}) | ${date} | ${status} |`,
      )
    },
  )
})
