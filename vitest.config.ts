// Three kinds of tests: unit (beside the sources), contract and others (below test/); see CONTRIBUTING.md.
import { availableParallelism } from 'node:os'
import { defineConfig, type TestUserConfig } from 'vitest/config'
import ClosingLine from './test/support/closing-line.ts'

/** What compares minutes with a real server in real time has the machine for itself, after everything else. */
const alone = ['test/client/ecflow-times.test.ts']

const shared: TestUserConfig = {
  // Processes, not threads, and no throwing away of compiled WebAssembly: see docs/decisions/009-compiled-webassembly-is-kept.md.
  pool: 'forks',
  execArgv: ['--no-wasm-code-gc', '--wasm-wrapper-tiering-budget=2147483647'],
  isolate: false,
  // Two files at a time even on two cores: the longest ones wait for processes and flushes most of their time.
  maxWorkers: Math.min(4, Math.max(2, availableParallelism() - 1)),
  testTimeout: 120_000,
  hookTimeout: 120_000,
}

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
          exclude: alone,
          testTimeout: 600_000,
          hookTimeout: 300_000,
        },
      },
      {
        test: {
          ...shared,
          name: 'alone',
          include: alone,
          testTimeout: 600_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
