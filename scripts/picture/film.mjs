// Films a terminal: shows it on a page under a caption, and takes frames. Their times are the picture's own, so that a busy machine makes no
// longer picture.

/** Pixels. */
export const CAPTION_HEIGHT = 52

const pageOf = ({ width, height }) => `<!doctype html><meta charset="utf-8"><style>
  body { margin: 0; background: #0d1117; color: #e6edf3; width: ${width}px; height: ${height}px; overflow: hidden }
  img { display: block }
  #caption { background: #1f6feb; color: #fff; font: 600 20px/${CAPTION_HEIGHT}px "DejaVu Sans", sans-serif; padding: 0 22px; height: ${CAPTION_HEIGHT}px }
  pre { margin: 0; padding: 14px 22px; font: 17px/1.34 "DejaVu Sans Mono", monospace }
</style><div id="caption"></div><pre></pre>`

export class TerminalFilm {
  caption = ''
  #page
  #frames

  constructor(page, frames) {
    this.#page = page
    this.#frames = frames
  }

  async open(size) {
    await this.#page.setContent(pageOf(size))
  }

  /** Takes a frame of the terminal, shown for `ms`. */
  async shoot(terminal, ms) {
    await this.#page.evaluate(
      ([caption, html]) => {
        document.querySelector('#caption').textContent = caption
        document.querySelector('pre').innerHTML = html
      },
      [this.caption, terminal.html()],
    )
    await this.#frames.add(await this.#page.screenshot(), ms)
  }

  /** Shows the last frame for longer. */
  hold(ms) {
    this.#frames.hold(ms)
  }

  /** Adds a still under the caption. @param {Buffer} png @param {number} ms */
  async still(png, ms) {
    await this.#page.evaluate(
      ([caption, source]) => {
        document.querySelector('#caption').textContent = caption
        const image = document.createElement('img')
        image.src = source
        document.querySelector('pre, img').replaceWith(image)
        return image.decode()
      },
      [this.caption, `data:image/png;base64,${png.toString('base64')}`],
    )
    await this.#frames.add(await this.#page.screenshot(), ms)
  }
}
