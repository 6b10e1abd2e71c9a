// The benchmarks of the ecFlow dialect.

import type { Suite } from '../suite.ts'
import { bigSuiteBench } from './big-suite.ts'
import { languageBench } from './language.ts'
import { runsBench } from './runs.ts'

export const ecflowSuites: readonly Suite[] = [languageBench, bigSuiteBench, runsBench]
