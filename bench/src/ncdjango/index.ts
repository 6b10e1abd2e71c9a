// The benchmarks of the ncdjango dialect.

import type { Suite } from '../suite.ts'
import { algebraBench } from './algebra.ts'
import { mapsBench } from './maps.ts'

export const ncdjangoSuites: readonly Suite[] = [algebraBench, mapsBench]
