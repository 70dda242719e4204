// The tests that need the real vLLM + LMCache (npm run engine:up). One file at a time: they empty caches under each other's feet.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/engine/**/*.test.ts', 'test/contract/**/*.test.ts'],
    env: { CWM_CONTRACT: 'engine' },
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 600_000,
  },
})
