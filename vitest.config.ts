// `npm test`. Projects can be run alone: npx vitest run --project unit
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { filesByProject, PROJECTS } from './test/support/projects.ts'

const files = filesByProject(fileURLToPath(new URL('.', import.meta.url)))

export default defineConfig({
  test: {
    // One process runs many files, each worker loading the source once: loading took longer than the tests themselves.
    projects: PROJECTS.map((name) => ({
      extends: true as const,
      test: { name, include: files[name], isolate: name === 'isolated' },
    })),
    globalSetup: ['test/support/shared-build.ts'],
    // Much of a test is waiting for sockets, processes and disks, so on few processors there is one worker more than these.
    maxWorkers: Math.max(3, availableParallelism() - 1),
    // No test may take so long; on a busy machine it may.
    testTimeout: 60_000,
    hookTimeout: 240_000,
    reporters: process.env.CI ? ['default', ['json', { outputFile: '.ci/results/unit.json' }]] : ['default'],
  },
})
