// docs/headers.md names the headers that the code knows, and no other.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

const sources = readdirSync(`${root}/src`, { recursive: true, encoding: 'utf8' }).filter(
  (file) => /\.tsx?$/.test(file) && !/\.test\.ts$/.test(file),
)

const named = (text: string) => new Set(text.match(/x-cwm-[a-z]+(?:-[a-z]+)*/g) ?? [])

it('docs/headers.md names every header of the code, and no other', () => {
  const known = named(sources.map((file) => readFileSync(`${root}/src/${file}`, 'utf8')).join('\n'))

  expect([...named(readFileSync(`${root}/docs/headers.md`, 'utf8'))].sort()).toEqual([...known].sort())
})
