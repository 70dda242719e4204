// Libraries for tests: texts of some length, and REST.

import type { LibraryJson } from '../../src/wire/libraries.ts'
import type { WindowJson } from '../../src/wire/windows.ts'
import type { Got } from './client.ts'
import { prose } from './conversation.ts'
import { until } from './deadline.ts'
import { call, rest } from './rest.ts'

type Headers = Record<string, string>

const chapter = (n: number) => `# Chapter ${n}\n\n${prose(80, `chapter ${n}`)}\n\n${prose(80, `more ${n}`)}\n\n`

/** Each chapter fits a window of 512 tokens of the simulator, two do not. */
export function book(chapters: number): string {
  return Array.from({ length: chapters }, (_, n) => chapter(n + 1)).join('')
}

export function putLibrary(
  url: string,
  text: string,
  { name = 'book', headers = {}, ...more }: { name?: string; headers?: Headers } & Record<string, unknown> = {},
): Promise<Got> {
  const body = { model: 'sim-model', texts: [{ title: 'Book', text }], tokens_per_window: 512, ...more }
  return call(url, 'PUT', `/libraries/${name}`, body, headers)
}

/** The library once it is ready or failed. */
export async function settledLibrary(url: string, name = 'book', headers: Headers = {}): Promise<LibraryJson> {
  return await until(
    `library ${name} is ready or failed`,
    async () => {
      const library = await rest<LibraryJson>(url, 'GET', `/libraries/${name}?wait_ms=5000`, undefined, headers)
      return library.state === 'building' ? undefined : library
    },
    60_000,
  )
}

/** Puts a library, and waits until it is ready or failed. */
export async function addLibrary(url: string, text: string, more: Parameters<typeof putLibrary>[2] = {}) {
  const got = await putLibrary(url, text, more)
  if (got.status >= 300) throw new Error(`${got.status} ${got.text}`)
  return await settledLibrary(url, more.name, more.headers)
}

export async function windowsTagged(url: string, tag = 'library:book', headers: Headers = {}) {
  const path = `/windows?limit=1000${tag === '' ? '' : `&tag=${tag}`}`
  return (await rest<{ data: readonly WindowJson[] }>(url, 'GET', path, undefined, headers)).data
}

export function windowsOf({ parts = [] }: LibraryJson): string[] {
  return parts.map(({ window }) => window)
}
