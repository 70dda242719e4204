// Renders the documentation into files that cwm serves under /cwm/docs/: pages, a search index, and what they need, each compressed, with
// a manifest of all addresses. Part of `npm run build`.
//   node scripts/docs-site/main.mjs [FOLDER]      FOLDER: by default dist/docs; replaced as a whole

import { join, resolve } from 'node:path'
import { root } from './page-list.mjs'
import { renderSite } from './site.mjs'
import { writeSite } from './write.mjs'

const folder = resolve(process.argv[2] ?? join(root, 'dist', 'docs'))
await writeSite(renderSite(), folder)
