// Text to HTML and back.

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const characters = Object.fromEntries(Object.entries(entities).map(([character, entity]) => [entity, character]))

export const escapeHtml = (text) => text.replaceAll(/[&<>"']/g, (character) => entities[character])

/** What a reader sees of HTML that `markdown.mjs` wrote, in one line. */
export const textOfHtml = (html) =>
  html
    .replaceAll(/<\/(p|li|h\d|td|th|tr|pre|div|figcaption)>|<br>/g, ' ')
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/&(amp|lt|gt|quot|#39);/g, (entity) => characters[entity])
    .replaceAll(/\s+/g, ' ')
    .trim()
