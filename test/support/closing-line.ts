// Ends a test run with the plain line `N passed, M failed`, as the very last thing that is printed.

import type { Reporter, TestModule } from 'vitest/node'

export default class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const counts = { passed: 0, failed: unhandled.length, skipped: 0 }
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const state = test.result().state
        if (state === 'passed' || state === 'failed' || state === 'skipped') counts[state]++
      }
      // A file that could not even be loaded has no tests to count, and is a failure all the same.
      if (module.state() === 'failed' && module.children.size === 0) counts.failed++
    }
    const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''
    process.once('exit', () => console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`))
  }
}
