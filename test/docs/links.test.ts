// Every link between the project's own pages leads to an existing file and heading.

import { existsSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { anchorsOf, filesIn, pages, root, textOf } from './pages.ts'

/** Without code. */
const proseOf = (page: string) => textOf(page).replaceAll(/`[^`\n]*`/g, 'code')

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

  it('reach every page of docs', () => {
    const linked = new Set(
      pages.flatMap((page) =>
        linksOf(page).map(({ target }) => relative(root, resolve(root, dirname(page), target.split('#')[0] ?? ''))),
      ),
    )
    const lonely = filesIn('docs', ['.md']).filter((page) => !linked.has(page))

    expect(lonely).toEqual([])
  })
})
