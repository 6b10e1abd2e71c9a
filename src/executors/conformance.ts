// What every executor must do: each sentence of the port, tried on a real one. An adapter's test calls
// executorConformance with samples of its own kind of spec; see process/process-executor.test.ts.

import { describe } from 'vitest'
import type { ConformanceSubject } from './testing/executor-subject.ts'
import { lookingTests } from './testing/looking-tests.ts'
import { runningTests } from './testing/running-tests.ts'
import { stoppingTests } from './testing/stopping-tests.ts'
import { survivingTests } from './testing/surviving-tests.ts'

export type { ConformanceSamples, ConformanceSubject } from './testing/executor-subject.ts'

/** Runs the suite as tests of the calling file, many at a time: each has a world of its own. */
export function executorConformance(subject: ConformanceSubject): void {
  describe.skipIf(subject.skip !== undefined)(
    `executor ${subject.name}${subject.skip ? ` (${subject.skip})` : ''}`,
    { concurrent: true },
    () => {
      runningTests(subject)
      stoppingTests(subject)
      lookingTests(subject)
      survivingTests(subject)
    },
  )
}
