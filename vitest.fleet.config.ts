// The tests on two real engines (PAIR=1 ROUTER=1 npm run engine:up): minutes, because they kill and start servers. They are skipped with one
// engine. Apart from vitest.engine.config.ts, whose tests empty the caches of the first engine.
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/engine/fleet/**/*.test.ts'],
    globalSetup: ['test/engine/support/setup.ts'],
    fileParallelism: false,
    testTimeout: 1_200_000,
    hookTimeout: 1_200_000,
  },
})
