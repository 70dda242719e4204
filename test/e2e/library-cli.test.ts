// `cwm library` as a process: files become a library, which is listed, shown, changed, and deleted.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import type { LibraryJson } from '../../src/wire/libraries.ts'
import { type BuiltCwm, buildCwm } from '../support/built-cwm.ts'
import { CliProcess, type CliResult } from '../support/cli-process.ts'
import { book, windowsTagged } from '../support/libraries.ts'
import { type Stack, startStack } from '../support/stack.ts'

let built: BuiltCwm
let stack: Stack
let folder: string
beforeAll(async () => {
  ;[built, stack, folder] = await Promise.all([buildCwm(), startStack(), mkdtemp(join(tmpdir(), 'cwm-library-'))])
  await writeFile(join(folder, 'book.md'), book(3))
  await writeFile(join(folder, 'notes.txt'), '# no heading\nJust notes.\n')
})
afterAll(async () => {
  await stack.close()
  await built.dispose()
  await rm(folder, { recursive: true, force: true })
})

const cwm = (words: readonly string[], input: string | Uint8Array = ''): Promise<CliResult> =>
  new CliProcess(built, ['library', ...words], { env: { CWM_URL: stack.url }, input, cwd: folder }).result()

it('adds files, and waits until all windows are frozen', async () => {
  const { out, ended } = await cwm(['add', 'law', 'book.md', 'notes.txt', '--tokens', '512', '--tag', 'mine'])

  expect(out).toMatch(/^ready law: 4 windows of at most 512 tokens, [\d,]+ tokens in all\n/)
  expect(out).toContain('  book.md: 3 windows\n  notes.txt: 1 window\n')
  expect(out).toContain('ask it: cwm ask QUESTION --tag library:law')
  expect(ended).toBe(0)
  expect(await windowsTagged(stack.url, 'mine')).toHaveLength(4)
})

it('shows it, and lists it with tabs between for programs', async () => {
  const shown = JSON.parse((await cwm(['show', 'law', '--wait', '--json'])).out) as LibraryJson
  const { out } = await cwm(['list'])

  expect(shown).toMatchObject({ name: 'law', state: 'ready', windows: 4, texts: [{ windows: 3 }, { windows: 1 }] })
  expect(out.split('\t').slice(0, 5)).toEqual(['law', 'ready', '4', String(shown.tokens), '2'])
})

it('replaces its texts by standard input, with model and size as before', async () => {
  const { out } = await cwm(['add', 'law', '-', '--format', 'markdown'], book(2))

  expect(out).toMatch(/^ready law: 2 windows of at most 512 tokens/)
  expect(out).toContain('  (no title): 2 windows\n')
})

it('deletes it, once that is confirmed', async () => {
  expect((await cwm(['delete', 'law'])).ended).toBe(2)

  const { out, ended } = await cwm(['delete', 'law', '--yes'])

  expect(out).toMatch(/^deleted law: 2 windows, \d+ chunks in LMCache, 0 chunks left, in /)
  expect(ended).toBe(0)
  expect((await cwm(['show', 'law'])).err).toContain('there is no library law under this key')
})

it('says which file cannot be read', async () => {
  const { err, ended } = await cwm(['add', 'law', 'absent.md'])

  expect(err).toContain('cannot read absent.md: ENOENT')
  expect(ended).toBe(2)
})

it('refuses a file that is not text', async () => {
  await writeFile(join(folder, 'law.pdf'), Buffer.from([0x25, 0x50, 0x44, 0x46, 0xff, 0xfe]))

  const { err, ended } = await cwm(['add', 'law', 'law.pdf'])

  expect(err).toContain('law.pdf is not text in UTF-8 (byte 4)')
  expect(ended).toBe(2)
})

it('refuses standard input that is not text, and says from which byte on', async () => {
  const { out, err, ended } = await cwm(['add', 'law', '-'], Buffer.from('gr\u00fcn', 'latin1'))

  expect(err).toBe('cwm: standard input is not text in UTF-8 (byte 2); convert it to plain text or Markdown first\n')
  expect({ out, ended }).toEqual({ out: '', ended: 2 })
})
