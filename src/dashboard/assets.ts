// Static files of the dashboard: our own (the scripts are modules that import each other), and htmx and uPlot as installed by npm. Their
// address contains a hash of all of them, so that browsers can cache them indefinitely.

import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { brotliCompress, gzip } from 'node:zlib'
import { StaticDocument } from '../base/static-document.ts'

const { resolve } = createRequire(import.meta.url)
const own = (name: string) => fileURLToPath(new URL(`../../assets/${name}`, import.meta.url))

const style = (name: string) => own(`styles/${name}.css`)

/** Each is one file, or several that are served as one. */
const files = {
  'dashboard.css': () => ['tokens', 'base', 'frame', 'controls', 'tables', 'facts', 'dialog'].map(style),
  'dashboard.js': () => own('dashboard.js'),
  'charts.js': () => own('charts.js'),
  'ask.js': () => own('ask.js'),
  'lists.js': () => own('lists.js'),
  'copy.js': () => own('copy.js'),
  'dialog.js': () => own('dialog.js'),
  'events.js': () => own('events.js'),
  'live.js': () => own('live.js'),
  'navigation.js': () => own('navigation.js'),
  'times.js': () => own('times.js'),
  'overview.css': () => style('overview'),
  'lists.css': () => ['lists', 'gauge', 'details', 'messages'].map(style),
  'ask.css': () => style('ask'),
  'reading.css': () => style('reading'),
  'icon.svg': () => own('icon.svg'),
  'htmx.js': () => resolve('htmx.org/dist/htmx.min.js'),
  'uplot.js': () => resolve('uplot/dist/uPlot.iife.min.js'),
  'uplot.css': () => resolve('uplot/dist/uPlot.min.css'),
} satisfies Readonly<Record<string, () => string | readonly string[]>>

const types: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const compressions = {
  br: promisify(brotliCompress),
  gzip: promisify(gzip),
} as const
type Encoding = keyof typeof compressions

/** The address changes with the content. */
const IMMUTABLE = 'public, max-age=31536000, immutable'

/** A file in each form that browsers accept. Each form is made when it is first requested. */
interface Asset {
  readonly plain: StaticDocument
  readonly compressed: Readonly<Record<Encoding, StaticDocument>>
}

export interface FoundAsset {
  readonly document: StaticDocument
  /** Undefined for the file as it is. */
  readonly encoding: Encoding | undefined
}

export class Assets {
  #loaded: Promise<{ readonly hash: string; readonly all: ReadonlyMap<string, Asset> }> | undefined

  /** Base path of the files; append `/` and a name. */
  async root(): Promise<string> {
    return `/cwm/ui/assets/${(await this.#load()).hash}`
  }

  /** In the smallest form that the header `Accept-Encoding` allows. Undefined if there is no such file. */
  async get(name: string, acceptEncoding = ''): Promise<FoundAsset | undefined> {
    const asset = (await this.#load()).all.get(name)
    if (asset === undefined) return undefined
    const encoding = (['br', 'gzip'] as const).find((one) => accepts(acceptEncoding, one))
    return { document: encoding === undefined ? asset.plain : asset.compressed[encoding], encoding }
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
    const bytes = Buffer.concat(await Promise.all([path()].flat().map((one) => readFile(one))))
    hash.update(name).update(bytes)
    const type = types[extname(name)] ?? 'application/octet-stream'
    const document = (build: () => Uint8Array | Promise<Uint8Array>) => new StaticDocument(type, build, IMMUTABLE)
    all.set(name, {
      plain: document(() => bytes),
      compressed: {
        br: document(() => compressions.br(bytes)),
        gzip: document(() => compressions.gzip(bytes)),
      },
    })
  }
  return { hash: hash.digest('hex').slice(0, 12), all }
}

/** Wildcards are ignored: a client that names no encoding gets the plain file. */
function accepts(header: string, encoding: Encoding): boolean {
  return header.split(',').some((one) => {
    const [name = '', ...parameters] = one.split(';').map((part) => part.trim().toLowerCase())
    return name === encoding && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))
  })
}
