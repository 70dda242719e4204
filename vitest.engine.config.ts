// The tests that need the real vLLM + LMCache (npm run engine:up). One file at a time: they empty caches under each other's feet.
// The one that stops and starts all of it is apart (vitest.restart.config.ts): it takes minutes, and must come last.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/engine/**/*.test.ts', 'test/contracts/{engine,kv}/**/*.test.ts'],
    exclude: ['test/engine/restart.test.ts', 'test/engine/fleet/**', 'node_modules/**'],
    globalSetup: ['test/engine/support/setup.ts'],
    env: { CWM_CONTRACT: 'engine' },
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
})
