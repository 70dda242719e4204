// Which files become pages of the documentation site, in reading order, and at which address. The order is docs/order.json's.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../..', import.meta.url))
export const BASE = '/cwm/docs/'

/** Files of these kinds in `examples` become pages of source code, so that links to them lead somewhere. */
const SOURCES = /\.(mjs|ts|py|sh)$/

/**
 * @typedef {object} Page
 * @property {string} file Path from the root of the repository.
 * @property {string} path Address after `/cwm/docs/`; the home page has the empty one.
 * @property {string} group Heading in the navigation.
 * @property {string | undefined} label Name in the navigation; by default the page's own title.
 * @property {boolean} isSource Source code instead of Markdown, reachable by links only.
 */

/** Markdown files under docs, from the root of the repository. */
export function docsFiles() {
  const names = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith('.md'))
    .map((name) => normalize(`docs/${name}`))
    .sort()
}

/**
 * The entries of docs/order.json, each with the group it belongs to. An entry that ends in a slash stands for the pages of that folder
 * that are not listed themselves, by name. @returns {Page[]}
 */
export function orderedPages() {
  const groups = JSON.parse(readFileSync(join(root, 'docs/order.json'), 'utf8'))
  const entries = groups.flatMap(({ group, pages }) =>
    pages.map((entry) => ({ group, ...(typeof entry === 'string' ? { file: entry } : entry) })),
  )
  const named = new Set(entries.map(({ file }) => file))
  return entries
    .flatMap((entry) => (entry.file.endsWith('/') ? inFolder(entry, named) : [entry]))
    .map(({ file, path, group, label }) => ({ file, path: path ?? addressOf(file), group, label, isSource: false }))
}

const inFolder = ({ file: folder, group }, named) =>
  docsFiles()
    .filter((file) => file.startsWith(folder) && !named.has(file))
    .map((file) => ({ file, group }))

/**
 * All pages in reading order. A page that docs/order.json lacks comes last, because a build must not fail for it: a test does.
 * @returns {Page[]}
 */
export function allPages() {
  const listed = orderedPages().filter(({ file }) => existsSync(join(root, file)))
  const known = new Set(listed.map(({ file }) => file))
  const others = docsFiles().filter((file) => !known.has(file))
  return [
    ...listed,
    ...others.map((file) => ({ file, path: addressOf(file), group: 'More', label: undefined, isSource: false })),
    ...readdirSync(join(root, 'examples'))
      .filter((name) => SOURCES.test(name))
      .map((name) => `examples/${name}`)
      .map((file) => ({ file, path: file, group: 'Use', label: undefined, isSource: true })),
  ]
}

/** `docs/guides/ask.md` is at `guides/ask`, and `docs/decisions/README.md` at `decisions`. */
function addressOf(file) {
  const path = file.replace(/^docs\//, '').replace(/\.md$/, '')
  return path.endsWith('/README') ? dirname(path) : path
}
