// Three kinds of tests: unit (beside the sources), contract and others (below test/); see CONTRIBUTING.md.
import { defineConfig } from 'vitest/config'
import ClosingLine from './test/support/closing-line.ts'

const shared = { pool: 'threads', isolate: false, testTimeout: 30_000, hookTimeout: 60_000 } as const

export default defineConfig({
  test: {
    reporters: ['default', new ClosingLine()],
    projects: [
      { test: { ...shared, name: 'unit', include: ['src/**/*.test.ts', 'test/*.test.ts'] } },
      { test: { ...shared, name: 'contract', include: ['test/contract/**/*.test.ts'] } },
      {
        test: {
          ...shared,
          name: 'simulation',
          include: ['test/simulation/**/*.test.ts'],
          testTimeout: 600_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'process',
          include: ['test/process/**/*.test.ts', 'test/docs/**/*.test.ts', 'test/client/**/*.test.ts'],
          testTimeout: 600_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
