// The whole site in memory: each address with its content.

import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, posix } from 'node:path'
import { documentOf } from './layout.mjs'
import { codeBlock, renderMarkdown } from './markdown.mjs'
import { allPages, BASE, root } from './page-list.mjs'
import { escapeHtml } from './text.mjs'

/** Larger pictures stay in the repository, and so do those after the first of them: the site has to stay small in the package. */
const MAX_IMAGE_BYTES = 100_000
const MAX_IMAGE_BYTES_IN_ALL = 280_000

const HTML = 'text/html; charset=utf-8'
const types = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.webp': 'image/webp',
  '.png': 'image/png',
  '.gif': 'image/gif',
}

/**
 * @typedef {object} SiteDocument
 * @property {string} path Address, from the root of the server.
 * @property {string} type Media type.
 * @property {Buffer} bytes
 * @property {boolean} isImmutable Its address changes with its content.
 *
 * @typedef {object} Site
 * @property {SiteDocument[]} documents
 * @property {Buffer} notFound The page for unknown addresses.
 * @property {string[]} faults Raw HTML that was shown as text: `FILE: TAG`.
 */

/** @returns {Site} */
export function renderSite() {
  const pages = allPages()
  const images = new Map()
  const entries = pages.map((page) => ({ page, ...render(page, pages, images) }))
  const files = assetsOf(entries, images)
  const assets = `${BASE}assets/${hashOf(files)}`
  const site = { entries: entries.filter(({ page }) => !page.isSource), assets, version: versionOfPackage() }
  // Where images are is known only after all of them were hashed.
  const finish = (entry) => Buffer.from(documentOf(entry, site).replaceAll('src="asset:', `src="${assets}/`))
  const missing = `<h1>No such page</h1>\n<p>There is no page at this address. Search, or start at <a href="${BASE}">the first page</a>.</p>\n`
  return {
    documents: [
      ...entries.map((entry) => ({
        path: `${BASE}${entry.page.path}`,
        type: HTML,
        bytes: finish(entry),
        isImmutable: false,
      })),
      ...[...files].map(([name, bytes]) => ({
        path: `${assets}/${name}`,
        type: types[extname(name)],
        bytes,
        isImmutable: true,
      })),
    ],
    notFound: finish({ page: undefined, title: 'No such page', html: missing, headings: [] }),
    faults: entries.flatMap(({ page, faults }) => faults.map((fault) => `${page.file}: ${fault}`)),
  }
}

function render(page, pages, images) {
  const text = readFileSync(join(root, page.file), 'utf8')
  if (page.isSource) {
    const title = basename(page.file)
    const html = `<h1>${escapeHtml(title)}</h1>\n${codeBlock(text.trimEnd(), '')}`
    return { title, html, headings: [], sections: [], faults: [] }
  }
  return renderMarkdown(text, {
    link: (href) => resolveLink(href, page, pages),
    image: (href) => resolveImage(href, page, images),
  })
}

function resolveLink(href, page, pages) {
  if (/^[a-z]+:/.test(href) || href.startsWith('#')) return { href }
  const [path = '', anchor] = href.split('#')
  const file = posix.join(posix.dirname(page.file), decodeURIComponent(path)).replace(/\/$/, '')
  const target = pages.find((one) => one.file === file || one.file === `${file}/README.md`)
  if (target === undefined) return { file }
  const title = target.isSource ? undefined : titleOf(target)
  return { href: `${BASE}${target.path}${anchor === undefined ? '' : `#${anchor}`}`, title }
}

/** The first heading, before anything is rendered. */
function titleOf({ file, label }) {
  const [, heading] = /^# (.*)$/m.exec(readFileSync(join(root, file), 'utf8')) ?? []
  return label ?? heading?.replaceAll(/[`*]|\]\([^)]*\)|\[/g, '')
}

/** An address that `renderSite` completes; undefined if the site does not have the picture. */
function resolveImage(href, page, images) {
  const file = join(root, dirname(page.file), href)
  if (!(extname(file) in types) || !existsSync(file)) return undefined
  const others = [...images.values()].filter((one) => one !== file)
  const used = others.reduce((sum, one) => sum + statSync(one).size, 0)
  const { size } = statSync(file)
  if (size > MAX_IMAGE_BYTES || used + size > MAX_IMAGE_BYTES_IN_ALL) return undefined
  images.set(basename(file), file)
  return `asset:${basename(file)}`
}

/** Colors and basics of the dashboard, so that both look alike. Its other rules would disturb a page. */
const sharedStyles = ['assets/styles/tokens.css', 'assets/styles/base.css']

/** Files that pages need, by name. */
function assetsOf(entries, images) {
  const own = (name) => readFileSync(new URL(name, import.meta.url))
  return new Map([
    ['docs.css', Buffer.concat([...sharedStyles.map((name) => readFileSync(join(root, name))), own('docs.css')])],
    ['docs.js', own('docs.js')],
    ['icon.svg', readFileSync(join(root, 'assets/icon.svg'))],
    ['search.json', Buffer.from(JSON.stringify(searchIndexOf(entries)))],
    ...[...images].map(([name, file]) => [name, readFileSync(file)]),
  ])
}

/** Pages as `[address, title]`, sections as `[number of the page, heading, anchor, text]`. */
function searchIndexOf(entries) {
  const pages = entries.filter(({ page }) => !page.isSource)
  return {
    pages: pages.map(({ page, title }) => [`${BASE}${page.path}`, title]),
    sections: pages.flatMap(({ sections }, at) => sections.map(({ heading, id, text }) => [at, heading, id, text])),
  }
}

function hashOf(files) {
  const hash = createHash('sha256')
  for (const [name, bytes] of files) hash.update(name).update(bytes)
  return hash.digest('hex').slice(0, 12)
}

function versionOfPackage() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version
}
