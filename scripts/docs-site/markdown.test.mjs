// What becomes of Markdown: anchors, links, code, tables, and raw HTML.

import { describe, expect, it } from 'vitest'
import { renderMarkdown } from './markdown.mjs'

const resolve = {
  link: (href) => (href.endsWith('.sh') ? { file: href } : { href: `/cwm/docs/${href}` }),
  image: (href) => (href.endsWith('.svg') ? `asset:${href}` : undefined),
}
const render = (markdown) => renderMarkdown(markdown, resolve)

describe('headings', () => {
  it("have GitHub's anchors, numbered where they repeat", () => {
    const { headings } = render("# `cwm`: what's it?\n## Near the limit\n## Near the limit\n## [A link](a) & `x_y`")

    expect(headings.map(({ id }) => id)).toEqual(['cwm-whats-it', 'near-the-limit', 'near-the-limit-1', 'a-link--x_y'])
  })

  it('start the sections that the search finds', () => {
    const { title, sections } = render('# Page\nFirst *words*.\n\n## Part\n| a | b |\n|---|---|\n| `x<y` | 2 |\n')

    expect(title).toBe('Page')
    expect(sections).toEqual([
      { heading: 'Page', id: 'page', text: 'First words.' },
      { heading: 'Part', id: 'part', text: 'a b x<y 2' },
    ])
  })
})

describe('links and pictures', () => {
  it('lead to pages; files that are no pages are named', () => {
    const { html } = render('[page](errors#a) [script](up.sh) ![drawn](a.svg) ![A large one](b.webp)')

    expect(html).toContain('<a href="/cwm/docs/errors#a">page</a>')
    expect(html).toContain('<span class="repository" title="up.sh, in the repository">script</span>')
    expect(html).toContain('<img src="asset:a.svg" alt="drawn">')
    expect(html).toContain('Picture in the repository: A large one')
  })

  it("show a page's title instead of its file's name", () => {
    const titled = { ...resolve, link: () => ({ href: '/cwm/docs/errors', title: 'Errors & codes' }) }
    const { html } = renderMarkdown('[errors.md](errors.md) [all codes](errors.md)', titled)

    expect(html).toContain('>Errors &amp; codes</a> <a href="/cwm/docs/errors">all codes</a>')
  })

  it('to other sites tell them nothing', () => {
    const { html } = renderMarkdown('<https://example.com/a>', { ...resolve, link: (href) => ({ href }) })

    expect(html).toContain('<a href="https://example.com/a" rel="noreferrer">')
  })
})

it('escapes code, and says which language it is in', () => {
  const { html } = render('```console\n$ a <b> "c"\n```')

  expect(html).toBe(
    '<div class="code"><pre class="scroll" data-language="console"><code>$ a &lt;b&gt; &quot;c&quot;</code></pre></div>\n',
  )
})

it('turns a flowchart into a table of its arrows', () => {
  const { html } = render('```mermaid\nflowchart LR\n  a["one"] -->|"/v1"| b\n  b["two"] <--> c[("three")]\n```')

  expect(html).toContain('<tr><td>one</td><td>/v1</td><td>two</td></tr><tr><td>two</td><td></td><td>three</td></tr>')
})

describe('raw HTML', () => {
  it('is shown as text, and reported', () => {
    const { html, faults } = render('<script>alert(1)</script>\n\nA <b onclick="x()">word</b>')

    expect(html).not.toMatch(/<script|<b /)
    expect(html).toContain('&lt;script&gt;')
    expect(faults).toContain('<script>alert(1)')
    expect(faults).toContain('<b onclick="x()">')
  })

  it('may fold a part, and bring a picture by light and dark', () => {
    const { html, faults } = render(
      '<details>\n<summary>More</summary>\n\nText\n\n</details>\n\n<picture><source srcset="d.svg"><img src="l.svg" alt="A picture"></picture>\n\n<!-- bench -->',
    )

    expect(faults).toEqual([])
    expect(html).toContain('<details>')
    expect(html).toContain('<summary>More</summary>')
    expect(html).toContain('<img src="asset:l.svg" alt="A picture">')
    expect(html).not.toMatch(/picture>|<source|bench/)
  })
})
