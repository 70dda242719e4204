// The one test that stops proxy, vLLM, LMCache and coordinator and starts them again (npm run test:engine:restart): minutes.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/engine/restart.test.ts'],
    globalSetup: ['test/engine/support/setup.ts'],
    fileParallelism: false,
    testTimeout: 1_200_000,
    hookTimeout: 1_200_000,
  },
})
