// Determines which Vitest project a test file belongs to, from its folder and imports, so that no list has to be maintained.

import { readdirSync, readFileSync } from 'node:fs'
import { join, sep } from 'node:path'

export const PROJECTS = ['unit', 'e2e', 'redis', 'browser', 'tools', 'isolated'] as const
export type ProjectName = (typeof PROJECTS)[number]

const TEST_FILE = /\.test\.(ts|mjs)$/
/** These have their own configurations, because they need a real engine or coding agents. */
const OTHER_RUNS = /^test\/(engine|agents)\//

/** Patterns of files that need their own process: they replace modules or `fetch`, or measure the heap. */
const NEEDS_ISOLATION = /from 'msw|\bvi\.(mock|stubGlobal|stubEnv)\(|support\/collect-garbage/

/** The project of a test file. `path`: from the root, with forward slashes; `text`: its source. */
export function projectOf(path: string, text: string): ProjectName {
  if (/^scripts\/|^test\/(attack|bench)\//.test(path)) return 'tools'
  if (/from '(ioredis|.*support\/redis-)/.test(text)) return 'redis'
  if (/support\/browser/.test(text)) return 'browser'
  if (NEEDS_ISOLATION.test(text)) return 'isolated'
  return path.startsWith('src/') ? 'unit' : 'e2e'
}

/** Every test file of `npm test` under `root`, by project. */
export function filesByProject(root: string): Record<ProjectName, string[]> {
  const files: Record<ProjectName, string[]> = { unit: [], e2e: [], redis: [], browser: [], tools: [], isolated: [] }
  for (const folder of ['src', 'test', 'scripts']) {
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      const path = `${folder}/${name.split(sep).join('/')}`
      if (!TEST_FILE.test(path) || OTHER_RUNS.test(path)) continue
      files[projectOf(path, readFileSync(join(root, path), 'utf8'))].push(path)
    }
  }
  return files
}
