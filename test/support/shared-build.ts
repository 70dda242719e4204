// Global setup: the folder in which the tests of a run share their build of cwm (`buildCwm`). Each run has its own folder, which is removed
// at the end. Nothing is built here, because most tests need no build.

import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestProject } from 'vitest/node'
import './built-cwm.ts'

const cache = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url))
const PREFIX = 'cwm-build-'

export default function setup(project: TestProject): () => void {
  forgetDeadRuns()
  const folder = join(cache, `${PREFIX}${process.pid}`)
  project.provide('sharedBuild', folder)
  return () => rmSync(folder, { recursive: true, force: true })
}

/** Removes folders of runs that were killed before they could clean up. */
function forgetDeadRuns(): void {
  let names: string[] = []
  try {
    names = readdirSync(cache).filter((name) => name.startsWith(PREFIX))
  } catch {
    // There is no cache yet.
  }
  for (const name of names) {
    if (!isAlive(Number(name.slice(PREFIX.length)))) rmSync(join(cache, name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
