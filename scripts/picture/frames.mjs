// Collects frames with the time that each is shown, and joins them into an animated WebP.

import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

export class Frames {
  #frames = []
  #folder

  static async create() {
    const frames = new Frames()
    frames.#folder = await mkdtemp(join(tmpdir(), 'cwm-picture-'))
    return frames
  }

  get count() {
    return this.#frames.length
  }

  /** How long the picture is so far, milliseconds. */
  get ms() {
    return this.#frames.reduce((sum, { ms }) => sum + ms, 0)
  }

  /** @param {Buffer} png @param {number} ms */
  async add(png, ms) {
    const path = join(this.#folder, `${String(this.#frames.length).padStart(4, '0')}.png`)
    await writeFile(path, png)
    this.#frames.push({ path, ms })
  }

  /** Shows the last frame for longer. */
  hold(ms) {
    const last = this.#frames.at(-1)
    if (last !== undefined) last.ms += ms
  }

  /** @param {string} path Ends in .webp. */
  async save(path, quality) {
    const list = join(this.#folder, 'list.txt')
    const lines = this.#frames.map(({ path, ms }) => `file '${path}'\nduration ${(ms / 1_000).toFixed(3)}`)
    // The concat demuxer ignores the duration of the last file, so that one is named twice.
    await writeFile(list, `${lines.join('\n')}\nfile '${this.#frames.at(-1)?.path}'\n`)
    await mkdir(join(path, '..'), { recursive: true })
    await run('ffmpeg', [
      ...['-y', '-loglevel', 'error', '-f', 'concat', '-safe', '0', '-i', list, '-vsync', 'vfr'],
      ...[
        '-c:v',
        'libwebp_anim',
        '-lossless',
        '0',
        '-quality',
        String(quality),
        '-compression_level',
        '6',
        '-loop',
        '0',
        path,
      ],
    ])
  }

  async dispose() {
    await rm(this.#folder, { recursive: true, force: true })
  }
}
