// Reads configurations from the pages of docs/, so that tests run exactly what readers copy.

import { readFileSync } from 'node:fs'

/** The placeholders in the pages for cwm's address and the model. */
const ADDRESS = 'http://127.0.0.1:8787'
const MODEL = 'my-model'

export interface Place {
  readonly url: string
  readonly model: string
}

/** The one block of a page with this language that contains `mark`, with the address and model in it replaced. */
export function blockOf(page: string, language: string, mark: string, { url, model }: Place): string {
  const text = readFileSync(new URL(`../../../docs/${page}`, import.meta.url), 'utf8')
  const blocks = [...text.matchAll(/^```(\w+)\n(.*?)^```/gms)]
    .filter(([, kind, body = '']) => kind === language && body.includes(mark))
    .map(([, , body = '']) => body)
  const [block, ...others] = blocks
  if (block === undefined || others.length > 0) {
    throw new Error(`docs/${page} has ${blocks.length} blocks in ${language} with "${mark}", expected one`)
  }
  return block.replaceAll(ADDRESS, url).replaceAll(MODEL, model)
}
