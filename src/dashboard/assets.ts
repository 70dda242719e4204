// Files that the pages need: ours, and htmx and uPlot as npm installed them. Under an address with a hash of them all, so that browsers may
// keep them for ever.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'

const { resolve } = createRequire(import.meta.url)
const own = (name: string) => fileURLToPath(new URL(`../../assets/${name}`, import.meta.url))

const files = {
  'dashboard.css': () => own('dashboard.css'),
  'dashboard.js': () => own('dashboard.js'),
  'icon.svg': () => own('icon.svg'),
  'htmx.js': () => resolve('htmx.org/dist/htmx.min.js'),
  'uplot.js': () => resolve('uplot/dist/uPlot.iife.min.js'),
  'uplot.css': () => resolve('uplot/dist/uPlot.min.css'),
}
export type AssetName = keyof typeof files

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

export interface Asset {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly type: string
}

export class Assets {
  #loaded: Promise<{ readonly hash: string; readonly all: ReadonlyMap<string, Asset> }> | undefined

  /** Where a page finds them: `…/` and a name behind it. */
  async root(): Promise<string> {
    return `/cwm/ui/assets/${(await this.#load()).hash}`
  }

  async get(name: string): Promise<Asset | undefined> {
    return (await this.#load()).all.get(name)
  }

  #load() {
    this.#loaded ??= load().catch((thrown: unknown) => {
      this.#loaded = undefined
      throw thrown
    })
    return this.#loaded
  }
}

async function load() {
  const hash = createHash('sha256')
  const all = new Map<string, Asset>()
  for (const [name, path] of Object.entries(files)) {
    const bytes = new Uint8Array(await readFile(path()))
    hash.update(name).update(bytes)
    all.set(name, { bytes, type: types[extname(name)] ?? 'application/octet-stream' })
  }
  return { hash: hash.digest('hex').slice(0, 12), all }
}
