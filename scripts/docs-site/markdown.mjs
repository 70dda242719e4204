// Markdown to HTML that needs no inline style or script: headings with GitHub's anchors, tables and code that scroll by themselves, links
// between pages rewritten to addresses of the site. Raw HTML is shown as text, except what `html.mjs` allows.

import { Marked } from 'marked'
import { diagramOf } from './diagram.mjs'
import { allowedHtml } from './raw-html.mjs'
import { Slugs } from './slugs.mjs'
import { escapeHtml, textOfHtml } from './text.mjs'

/**
 * @typedef {object} Heading
 * @property {number} level
 * @property {string} id
 * @property {string} text
 *
 * @typedef {object} Rendered
 * @property {string} title Text of the first heading.
 * @property {string} html
 * @property {Heading[]} headings
 * @property {{ heading: string, id: string, text: string }[]} sections What the search finds: the text below each heading.
 * @property {string[]} faults Raw HTML that was not allowed.
 */

/**
 * @param {string} markdown
 * @param {{ link: (href: string) => { href: string, title?: string } | { file: string }, image: (href: string) => string | undefined }} resolve
 *   Resolves a target: `file` is in the repository only; `title` is that of the page; an image without an address is not part of the site.
 * @returns {Rendered}
 */
export function renderMarkdown(markdown, resolve) {
  const headings = []
  const faults = []
  const marked = new Marked({ gfm: true, renderer: rendererOf(resolve, headings, faults) })
  const parts = splitAtHeadings(marked.lexer(markdown))
  let html = ''
  const sections = []
  for (const tokens of parts) {
    const before = headings.length
    const part = marked.parser(tokens)
    html += part
    const heading = headings.length > before ? headings[before] : undefined
    const text = textOfHtml(heading === undefined ? part : part.replace(/^<h\d.*?<\/h\d>/s, ''))
    if (heading !== undefined || text !== '')
      sections.push({ heading: heading?.text ?? '', id: heading?.id ?? '', text })
  }
  return { title: headings[0]?.text ?? '', html, headings, sections, faults }
}

const FILE_NAME = /^[\w./-]+\.md$/

/** A new list before each heading. The link definitions of the page are in all of them. */
function splitAtHeadings(tokens) {
  const parts = [[]]
  for (const token of tokens) {
    if (token.type === 'heading') parts.push([])
    parts.at(-1).push(token)
  }
  return parts.filter((part) => part.length > 0)
}

function rendererOf(resolve, headings, faults) {
  const slugs = new Slugs()
  const image = (href, alt) => {
    const address = resolve.image(href)
    if (address !== undefined) return `<img src="${escapeHtml(address)}" alt="${escapeHtml(alt)}">`
    return alt === '' ? '' : `<span class="picture">Picture in the repository: ${escapeHtml(alt)}</span>`
  }
  return {
    heading({ tokens, depth }) {
      const html = this.parser.parseInline(tokens)
      const text = textOfHtml(html)
      const id = slugs.of(text)
      headings.push({ level: depth, id, text })
      const anchor = `<a class="anchor" href="#${id}" aria-label="Link to this section: ${escapeHtml(text)}">#</a>`
      return `<h${depth} id="${id}">${html}${depth === 1 ? '' : ` ${anchor}`}</h${depth}>\n`
    },
    link({ href, tokens }) {
      const inside = this.parser.parseInline(tokens)
      const target = resolve.link(href)
      if ('file' in target) {
        return `<span class="repository" title="${escapeHtml(target.file)}, in the repository">${inside}</span>`
      }
      // A file's name says little where there are no files.
      const words = target.title !== undefined && FILE_NAME.test(inside) ? escapeHtml(target.title) : inside
      const foreign = /^https?:/.test(target.href) ? ' rel="noreferrer"' : ''
      return `<a href="${escapeHtml(target.href)}"${foreign}>${words}</a>`
    },
    image: ({ href, text }) => image(href, text),
    code({ text, lang }) {
      if (lang === 'mermaid') return diagramOf(text)
      return codeBlock(text, lang ?? '')
    },
    table({ header, rows }) {
      const cell = (name, { tokens, align }, attributes = '') => {
        const alignment = align === null ? '' : ` class="${align}"`
        return `<${name}${attributes}${alignment}>${this.parser.parseInline(tokens)}</${name}>`
      }
      // An empty heading over the column of names is a cell, because assistive technology would announce a heading without a name.
      const heads = header.map((one) => (one.text === '' ? '<td></td>' : cell('th', one, ' scope="col"')))
      const body = rows.map((row) => `<tr>${row.map((one) => cell('td', one)).join('')}</tr>`)
      return `<div class="scroll"><table><thead><tr>${heads.join('')}</tr></thead><tbody>${body.join('')}</tbody></table></div>\n`
    },
    html: ({ text }) => allowedHtml(text, image, faults),
  }
}

/** @param {string} text @param {string} language */
export function codeBlock(text, language) {
  const named = /^[a-z]+$/.test(language) ? ` data-language="${language}"` : ''
  return `<div class="code"><pre class="scroll"${named}><code>${escapeHtml(text)}</code></pre></div>\n`
}
