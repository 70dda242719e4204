// The documentation as `npm run build` has rendered it (scripts/docs-site): which addresses exist, and the compressed file of each.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { z } from 'zod'

/** Beside the compiled program. Run from source, it is what the last build left there. */
const BUILT = fileURLToPath(new URL('../../dist/docs', import.meta.url))

const entrySchema = z.strictObject({
  /** Name of the file in the folder. */
  file: z.string(),
  type: z.string(),
  etag: z.string(),
  /** Whether the file is compressed. */
  gzip: z.boolean(),
  /** Whether the address changes with the content. */
  immutable: z.boolean(),
})
const manifestSchema = z.strictObject({ documents: z.record(z.string(), entrySchema), notFound: entrySchema })

export type SiteEntry = z.infer<typeof entrySchema>
type Manifest = z.infer<typeof manifestSchema>
type Bytes = Uint8Array<ArrayBuffer>

const unzip = promisify(gunzip)

/** Files are read and unpacked on first use, and kept: they are as many as the manifest lists, some megabytes in all. */
export class BuiltSite {
  readonly #folder: string
  #manifest: Promise<Manifest> | undefined
  readonly #stored = new Map<string, Promise<Bytes>>()
  readonly #unpacked = new Map<string, Promise<Bytes>>()

  constructor(folder = BUILT) {
    this.#folder = folder
  }

  /** The document at an address; undefined if there is none. Rejects if the site was not built. */
  async find(path: string): Promise<SiteEntry | undefined> {
    const { documents } = await this.#load()
    return Object.hasOwn(documents, path) ? documents[path] : undefined
  }

  /** The page for unknown addresses. Rejects if the site was not built. */
  async notFound(): Promise<SiteEntry> {
    return (await this.#load()).notFound
  }

  /** The file of an entry as it is stored. */
  stored({ file }: SiteEntry): Promise<Bytes> {
    return once(this.#stored, file, async () => new Uint8Array(await readFile(join(this.#folder, file))))
  }

  /** The content of an entry, for clients that take no compressed file. */
  unpacked(entry: SiteEntry): Promise<Bytes> {
    if (!entry.gzip) return this.stored(entry)
    return once(this.#unpacked, entry.file, async () => new Uint8Array(await unzip(await this.stored(entry))))
  }

  #load(): Promise<Manifest> {
    this.#manifest ??= readFile(join(this.#folder, 'manifest.json'), 'utf8')
      .then((text) => manifestSchema.parse(JSON.parse(text)))
      .catch((thrown: unknown) => {
        this.#manifest = undefined
        throw thrown
      })
    return this.#manifest
  }
}

/** What `load` returned the first time for this key. A failure is not kept. */
function once(kept: Map<string, Promise<Bytes>>, key: string, load: () => Promise<Bytes>): Promise<Bytes> {
  const known = kept.get(key)
  if (known !== undefined) return known
  const loading = load().catch((thrown: unknown) => {
    kept.delete(key)
    throw thrown
  })
  kept.set(key, loading)
  return loading
}
