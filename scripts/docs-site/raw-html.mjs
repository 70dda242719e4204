// The raw HTML that pages may contain. Everything else is shown as text, so that a page cannot bring a script or a style.

import { escapeHtml } from './text.mjs'

const PLAIN_TAGS = /^<\/?(details|summary|kbd|br|sub|sup|p|strong|em|b|i|code)>/
/** Wrappers whose content is shown without them. */
const DROPPED_TAGS = /^(<!--.*?-->|<\/?(picture|div|p|details)(\s[^<>]*)?>|<(source|a)\s[^<>]*>|<\/a>)/s
const IMAGE = /^<img\s([^<>]*)>/

/**
 * @param {string} html One or more tags with text between them.
 * @param {(href: string, alt: string) => string} image
 * @param {string[]} faults Receives what is not allowed.
 */
export function allowedHtml(html, image, faults) {
  let rest = html
  let out = ''
  while (rest !== '') {
    const [plain] = PLAIN_TAGS.exec(rest) ?? []
    const [dropped] = DROPPED_TAGS.exec(rest) ?? []
    const [picture, attributes = ''] = IMAGE.exec(rest) ?? []
    if (plain !== undefined) out += plain
    else if (picture !== undefined) out += image(attribute(attributes, 'src'), attribute(attributes, 'alt'))
    else if (dropped === undefined) {
      const text = /^<?[^<]*/.exec(rest)?.[0] ?? rest
      if (text.startsWith('<')) faults.push(text.trim())
      out += escapeHtml(text)
      rest = rest.slice(text.length)
      continue
    }
    rest = rest.slice((plain ?? picture ?? dropped).length)
  }
  return out
}

const attribute = (attributes, name) => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1] ?? ''
