// docs/headers.md lists exactly the headers that the code knows. Browsers may read those of answers.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { exposedHeaders } from '../../src/identity/control-headers.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

const sources = readdirSync(`${root}/src`, { recursive: true, encoding: 'utf8' }).filter(
  (file) => /\.tsx?$/.test(file) && !/\.test\.ts$/.test(file),
)

const named = (text: string) => new Set(text.match(/x-cwm-[a-z]+(?:-[a-z]+)*/g) ?? [])

it('docs/headers.md lists exactly the headers of the code', () => {
  const known = named(sources.map((file) => readFileSync(`${root}/src/${file}`, 'utf8')).join('\n'))

  expect([...named(readFileSync(`${root}/docs/headers.md`, 'utf8'))].sort()).toEqual([...known].sort())
})

it('browsers may read every x-cwm header that docs/headers.md lists for answers', () => {
  const [, ofAnswers = ''] = readFileSync(`${root}/docs/headers.md`, 'utf8').split('## Of answers')
  const listed = [...ofAnswers.matchAll(/^\| `(x-cwm-[a-z-]+)`/gm)].map(([, name]) => name)

  expect(listed.toSorted()).toEqual(exposedHeaders.split(', ').toSorted())
})
