// Mermaid's flowcharts as a table of their arrows. GitHub draws them with a library of several megabytes that needs inline styles; the
// table says the same, also to a screen reader.

import { escapeHtml } from './text.mjs'

const NODE = String.raw`\w+(?:[[(]+"[^"]*"[\])]+)?`
const ARROW = new RegExp(String.raw`^(${NODE})\s*<?-->(?:\|"([^"]*)"\|)?\s*(${NODE})$`)

/** @param {string} mermaid */
export function diagramOf(mermaid) {
  const names = new Map()
  const nameOf = (node) => {
    const [, id = node, label] = /^(\w+)(?:[[(]+"([^"]*)"[\])]+)?$/.exec(node) ?? []
    if (label !== undefined) names.set(id, label)
    return id
  }
  const arrows = mermaid.split('\n').flatMap((line) => {
    const [, from, what = '', to] = ARROW.exec(line.trim()) ?? []
    return from === undefined || to === undefined ? [] : [{ from: nameOf(from), what, to: nameOf(to) }]
  })
  const cell = (text) => `<td>${escapeHtml(text)}</td>`
  const rows = arrows.map(
    ({ from, what, to }) => `<tr>${cell(names.get(from) ?? from)}${cell(what)}${cell(names.get(to) ?? to)}</tr>`,
  )
  const heads = ['From', 'What', 'To'].map((text) => `<th scope="col">${text}</th>`).join('')
  return `<div class="scroll"><table><thead><tr>${heads}</tr></thead><tbody>${rows.join('')}</tbody></table></div>\n`
}
