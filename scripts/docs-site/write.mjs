// Writes the site: one compressed file per document, named by its content, and manifest.json, which src/docs-site reads.

import { createHash } from 'node:crypto'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'

/** Pictures are compressed already. */
const COMPRESSIBLE = /^text\/|json|svg/
const ETAG_CHARACTERS = 22

/**
 * Replaces `folder`.
 * @param {import('./site.mjs').Site} site
 * @param {string} folder
 */
export async function writeSite({ documents, notFound }, folder) {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const files = new Map()
  const add = ({ type, bytes }) => {
    const hash = createHash('sha256').update(bytes).digest('base64url').slice(0, ETAG_CHARACTERS)
    const isGzip = COMPRESSIBLE.test(type)
    const file = `${hash}${isGzip ? '.gz' : ''}`
    files.set(file, isGzip ? gzipSync(bytes, { level: 9 }) : bytes)
    return { file, type, etag: hash, gzip: isGzip }
  }
  const manifest = {
    documents: Object.fromEntries(
      documents.map((document) => [document.path, { ...add(document), immutable: document.isImmutable }]),
    ),
    notFound: { ...add({ type: 'text/html; charset=utf-8', bytes: notFound }), immutable: false },
  }
  await Promise.all([...files].map(([name, bytes]) => writeFile(join(folder, name), bytes)))
  await writeFile(join(folder, 'manifest.json'), JSON.stringify(manifest))
}
