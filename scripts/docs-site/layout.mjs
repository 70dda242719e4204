// The HTML document around each page: navigation in reading order, outline, previous and next. No inline script or style, as the
// Content-Security-Policy of the site requires.

import { BASE } from './page-list.mjs'
import { escapeHtml } from './text.mjs'

const OUTLINE_LEVELS = new Set([2, 3])
/** A page with fewer headings is seen at a glance. */
const OUTLINE_MIN = 3

/**
 * @param {{ page: import('./page-list.mjs').Page | undefined, title: string, html: string, headings: import('./markdown.mjs').Heading[] }} page
 *   Without `page`, the answer to an unknown address.
 * @param {{ entries: { page: import('./page-list.mjs').Page, title: string }[], assets: string, version: string }} site
 */
export function documentOf({ page, title, html, headings }, { entries, assets, version }) {
  const at = entries.findIndex((entry) => entry.page === page)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="cwm-docs-index" content="${assets}/search.json">
<title>${escapeHtml(title)} · cwm docs</title>
<link rel="icon" href="${assets}/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="${assets}/docs.css">
<script src="${assets}/docs.js"></script>
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header>
<button type="button" id="menu" aria-expanded="false" aria-controls="pages">Menu</button>
<a class="brand" href="${BASE}"><strong>cwm</strong> docs <span class="quiet">${escapeHtml(version)}</span></a>
<form id="search" role="search" hidden><label class="unseen" for="query">Search the docs</label>
<input id="query" type="search" placeholder="Search (press /)" autocomplete="off" spellcheck="false" aria-controls="results"></form>
<nav aria-label="Elsewhere in cwm"><a href="/cwm/ui">Dashboard</a> <a href="/cwm/ui/rest">REST</a></nav>
</header>
<section id="results" aria-label="Search results" hidden><p role="status" class="quiet"></p><ol></ol></section>
<div class="columns">
<nav id="pages" aria-label="Pages">
${navigation(entries, page)}
</nav>
${outline(headings)}
<main id="content" tabindex="-1">
<article>
${html}</article>
${neighbors(entries[at - 1], at === -1 ? undefined : entries[at + 1])}
</main>
</div>
</body>
</html>
`
}

const addressOf = ({ path }) => `${BASE}${path}`

function navigation(entries, current) {
  const groups = groupBy(entries)
  return [...groups]
    .map(([group, members]) => {
      // The decisions are many and read one at a time: other pages name their list only.
      const isShort = group === 'Decisions' && current?.group !== group
      const shown = isShort ? members.slice(0, 1) : members
      const items = shown.map(({ page, title }) => {
        const here = page === current ? ' aria-current="page"' : ''
        return `<li><a href="${addressOf(page)}"${here}>${escapeHtml(page.label ?? title)}</a></li>`
      })
      return `<details open><summary>${escapeHtml(group)}</summary><ul>${items.join('')}</ul></details>`
    })
    .join('\n')
}

/** By group, in order. Node 20 has no `Map.groupBy`. */
function groupBy(entries) {
  const groups = new Map()
  for (const entry of entries) groups.set(entry.page.group, [...(groups.get(entry.page.group) ?? []), entry])
  return groups
}

function outline(headings) {
  const shown = headings.filter(({ level }) => OUTLINE_LEVELS.has(level))
  if (shown.length < OUTLINE_MIN) return ''
  const items = shown.map(
    ({ level, id, text }) => `<li class="level-${level}"><a href="#${id}">${escapeHtml(text)}</a></li>`,
  )
  return `<nav id="outline" aria-label="On this page"><details><summary>On this page</summary><ul>${items.join('')}</ul></details></nav>`
}

function neighbors(previous, next) {
  const link = (entry, rel, word) =>
    entry === undefined
      ? ''
      : `<a class="${rel}" rel="${rel}" href="${addressOf(entry.page)}"><span class="quiet">${word}</span> ${escapeHtml(entry.page.label ?? entry.title)}</a>`
  if (previous === undefined && next === undefined) return ''
  return `<nav class="neighbors" aria-label="Previous and next">${link(previous, 'prev', 'Previous')}${link(next, 'next', 'Next')}</nav>`
}
