// Static files of the dashboard: our own (the scripts are modules that import each other), and htmx and uPlot as installed by npm. Their address contains a hash of all of them, so that
// browsers can cache them indefinitely.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { StaticDocument } from '../base/static-document.ts'

const { resolve } = createRequire(import.meta.url)
const own = (name: string) => fileURLToPath(new URL(`../../assets/${name}`, import.meta.url))

const files = {
  'dashboard.css': () => own('dashboard.css'),
  'dashboard.js': () => own('dashboard.js'),
  'charts.js': () => own('charts.js'),
  'ask.css': () => own('ask.css'),
  'ask.js': () => own('ask.js'),
  'lists.css': () => own('lists.css'),
  'lists.js': () => own('lists.js'),
  'dialog.js': () => own('dialog.js'),
  'events.js': () => own('events.js'),
  'live.js': () => own('live.js'),
  'navigation.js': () => own('navigation.js'),
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

/** The address changes with the content. */
const IMMUTABLE = 'public, max-age=31536000, immutable'

export class Assets {
  #loaded: Promise<{ readonly hash: string; readonly all: ReadonlyMap<string, StaticDocument> }> | undefined

  /** Base path of the files; append `/` and a name. */
  async root(): Promise<string> {
    return `/cwm/ui/assets/${(await this.#load()).hash}`
  }

  async get(name: string): Promise<StaticDocument | undefined> {
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
  const all = new Map<string, StaticDocument>()
  for (const [name, path] of Object.entries(files)) {
    const bytes = await readFile(path())
    hash.update(name).update(bytes)
    const type = types[extname(name)] ?? 'application/octet-stream'
    all.set(name, new StaticDocument(type, () => bytes, IMMUTABLE))
  }
  return { hash: hash.digest('hex').slice(0, 12), all }
}
