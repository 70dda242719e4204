// Anchors of headings as GitHub makes them, so that a link to a heading works there and here.

/** Gives each heading of one page its anchor; a repeated heading gets `-1`, `-2`, … */
export class Slugs {
  #used = new Map()

  of(text) {
    const slug = text
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{M}\p{N}\s_-]/gu, '')
      .replaceAll(/\s/g, '-')
    const repeated = this.#used.get(slug)
    this.#used.set(slug, (repeated ?? -1) + 1)
    return repeated === undefined ? slug : `${slug}-${repeated + 1}`
  }
}
