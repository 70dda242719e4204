// cwm built from this source, for the tests that start it as a process: once per run of Vitest, by the first test that needs it.

import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import { until } from './deadline.ts'

declare module 'vitest' {
  interface ProvidedContext {
    /** Where the tests of one run share their build; made by the first of them, removed by `shared-build.ts`. */
    sharedBuild?: string
  }
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const BUILD_MS = 200_000

export interface BuiltCwm {
  /** Path of the built `cli/main.js`. */
  readonly main: string
  dispose(): Promise<void>
}

/** Built apart, so that what runs is this source and nobody else's dist. Takes some seconds, or waits for whoever builds it already. */
export async function buildCwm(): Promise<BuiltCwm> {
  const shared = inject('sharedBuild')
  if (shared !== undefined) {
    await onlyOnce(shared)
    return { main: mainOf(shared), dispose: async () => {} }
  }
  const own = join(root, 'node_modules', '.cache', `cwm-own-build-${process.pid}`)
  await mkdir(own, { recursive: true })
  await build(own)
  return { main: mainOf(own), dispose: () => rm(own, { recursive: true, force: true }) }
}

const mainOf = (folder: string) => join(folder, 'dist', 'cli', 'main.js')

/** Whoever makes the folder builds; the others wait, and build themselves if that one failed and took its folder away. */
async function onlyOnce(folder: string): Promise<void> {
  const done = join(folder, 'done')
  await mkdir(dirname(folder), { recursive: true })
  while (!existsSync(done)) {
    const first = await mkdir(folder).then(
      () => true,
      () => false,
    )
    if (!first) {
      await until('another test has built cwm', () => existsSync(done) || !existsSync(folder), BUILD_MS)
      continue
    }
    try {
      await build(folder)
      await writeFile(done, '')
    } catch (thrown) {
      await rm(folder, { recursive: true, force: true })
      throw thrown
    }
  }
}

async function build(folder: string): Promise<void> {
  await copyFile(join(root, 'package.json'), join(folder, 'package.json'))
  await cp(join(root, 'assets'), join(folder, 'assets'), { recursive: true })
  const tsc = join(root, 'node_modules', '.bin', 'tsc')
  // Not incremental: by the notes of an earlier build tsc leaves out what it believes to be there.
  // Not in this process' own time: a simulator that stands still meanwhile looks like an LMCache that is away.
  await promisify(execFile)(
    tsc,
    [
      ...['-p', 'tsconfig.build.json', '--outDir', join(folder, 'dist')],
      ...['--incremental', 'false', '--tsBuildInfoFile', 'null'],
    ],
    { cwd: root },
  )
}
