// Every link between the project's own pages leads somewhere: to a file that is there, and to a heading that is in it.

import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

function pagesIn(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === 'node_modules' || entry.name.startsWith('.')) return []
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return pagesIn(path)
    return entry.name.endsWith('.md') ? [path] : []
  })
}

const pages = ['README.md', ...['docs', 'examples', 'scripts'].flatMap(pagesIn)]

/** Without what stands in code. */
const proseOf = (page: string) =>
  readFileSync(join(root, page), 'utf8')
    .replaceAll(/^```.*?^```/gms, '')
    .replaceAll(/`[^`\n]*`/g, 'code')

/** As GitHub makes them. */
function anchorsOf(page: string): Set<string> {
  const text = readFileSync(join(root, page), 'utf8').replaceAll(/^```.*?^```/gms, '')
  const headings = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(/\s/g, '-'),
  )
  return new Set(headings)
}

interface Link {
  readonly target: string
  readonly fault: string | undefined
}

function linksOf(page: string): Link[] {
  const found = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target)
  return found
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? page : relative(root, resolve(root, dirname(page), path))
      if (!existsSync(join(root, file))) return { target, fault: 'no such file' }
      if (anchor === undefined || statSync(join(root, file)).isDirectory()) return { target, fault: undefined }
      return { target, fault: anchorsOf(file).has(anchor) ? undefined : 'no such heading' }
    })
}

describe('links', () => {
  it.each(pages)('of %s lead somewhere', (page) => {
    expect(linksOf(page).filter(({ fault }) => fault !== undefined)).toEqual([])
  })

  it('lead to every page of docs', () => {
    const linked = new Set(
      pages.flatMap((page) =>
        linksOf(page).map(({ target }) => relative(root, resolve(root, dirname(page), target.split('#')[0] ?? ''))),
      ),
    )
    const lonely = pagesIn('docs').filter((page) => !linked.has(page) && !page.includes('decisions'))

    expect(lonely).toEqual([])
  })
})
