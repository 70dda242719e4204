// The documentation site as the build renders it: every page has its place, and every link on it leads somewhere.

import { beforeAll, describe, expect, it } from 'vitest'
import { BASE, docsFiles, orderedPages } from '../../scripts/docs-site/page-list.mjs'
import { renderSite } from '../../scripts/docs-site/site.mjs'
import { anchorsOf, textOf } from './pages.ts'

const HTML = /^text\/html/

interface Rendered {
  readonly path: string
  readonly html: string
}

let pages: Rendered[]
let addresses: Set<string>
let site: ReturnType<typeof renderSite>
beforeAll(() => {
  site = renderSite()
  pages = site.documents
    .filter(({ type }) => HTML.test(type))
    .map(({ path, bytes }) => ({ path, html: bytes.toString('utf8') }))
  addresses = new Set(site.documents.map(({ path }) => path))
})

const idsOf = (html: string) => [...html.matchAll(/ id="([^"]*)"/g)].map(([, id = '']) => id)
const targetsOf = (html: string) => [...html.matchAll(/ (?:href|src|content)="([^"]*)"/g)].map(([, to = '']) => to)

describe('docs/order.json', () => {
  it('names every page of docs', () => {
    const ordered = orderedPages().map(({ file }) => file)

    expect(docsFiles().filter((file) => !ordered.includes(file))).toEqual([])
  })

  it('names each page once, and gives each an address of its own', () => {
    const ordered = orderedPages()

    expect(new Set(ordered.map(({ file }) => file)).size).toBe(ordered.length)
    expect(new Set(ordered.map(({ path }) => path)).size).toBe(ordered.length)
  })
})

describe('the rendered pages', () => {
  it('lead to pages and headings that exist', () => {
    const ids = new Map(pages.map(({ path, html }) => [path, new Set(idsOf(html))]))
    const dead = pages.flatMap(({ path, html }) =>
      targetsOf(html)
        .filter((to) => to.startsWith('#') || to.startsWith(BASE))
        .map((to) => to.split('#') as [string, string | undefined])
        .filter(([address, anchor]) => {
          const page = address === '' ? path : address
          return (
            !addresses.has(page) || (anchor !== undefined && ids.get(page)?.has(decodeURIComponent(anchor)) !== true)
          )
        })
        .map(([address, anchor]) => `${path}: ${address}#${anchor ?? ''}`),
    )

    expect(dead).toEqual([])
  })

  it("have GitHub's anchors, so that links to headings work in both places", () => {
    const wrong = orderedPages().flatMap(({ file, path }) => {
      const html = pages.find((page) => page.path === `${BASE}${path}`)?.html ?? ''
      const ids = new Set(idsOf(html))
      // Indented code may look like a heading to the other rule.
      return textOf(file).includes('    #')
        ? []
        : [...anchorsOf(file)].filter((anchor) => !ids.has(anchor)).map((one) => `${file}#${one}`)
    })

    expect(wrong).toEqual([])
  })

  it('have no inline script, style, or event handler, and load nothing foreign', () => {
    const forbidden =
      /<script(?![^>]* src="\/cwm\/docs\/)|<style|<[^>]+ (?:style|on\w+)=|<(?:script|link|img|iframe)[^>]+(?:src|href)="(?!\/cwm\/docs\/)/

    expect(pages.filter(({ html }) => forbidden.test(html)).map(({ path }) => path)).toEqual([])
  })

  it('show no raw HTML as text', () => {
    expect(site.faults).toEqual([])
  })

  it('start with a heading, which is their title', () => {
    const wrong = pages.filter(
      ({ html }) => !/<title>[^<]+ · cwm docs<\/title>/.test(html) || !/<article>\n<h1/.test(html),
    )

    expect(wrong.map(({ path }) => path)).toEqual([])
  })
})
