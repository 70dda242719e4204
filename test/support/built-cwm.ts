// Builds cwm from this source for tests that start it as a process: once per run of Vitest, on first use.

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
    /** The build folder shared by the tests of a run; created by the first of them, removed by `shared-build.ts`. */
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

/** Builds outside of dist, so that it is certainly this source. Takes some seconds, or waits for a build in progress. */
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

/** The process that creates the folder builds. The others wait, and build themselves if that failed and removed the folder. */
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
  // Not incremental, because with the info of an earlier build tsc would skip files that it believes to exist.
  // Not synchronous, because a simulator in this process would be blocked meanwhile and look like an LMCache that is down.
  const run = promisify(execFile)
  const docs = run(process.execPath, ['scripts/docs-site/main.mjs', join(folder, 'dist', 'docs')], { cwd: root })
  const compiled = run(
    tsc,
    [
      ...['-p', 'tsconfig.build.json', '--outDir', join(folder, 'dist')],
      ...['--incremental', 'false', '--tsBuildInfoFile', 'null'],
    ],
    { cwd: root },
  )
  await Promise.all([docs, compiled])
}
