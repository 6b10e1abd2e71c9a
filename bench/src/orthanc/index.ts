// The benchmarks of the Orthanc dialect.

import type { Suite } from '../suite.ts'
import { anonymizeBench } from './anonymize.ts'
import { archiveBench } from './archive.ts'
import { ingestBench } from './ingest.ts'
import { networkBench } from './network.ts'
import { uploadsBench } from './uploads.ts'

export const orthancSuites: readonly Suite[] = [
  ingestBench,
  archiveBench,
  uploadsBench,
  networkBench,
  anonymizeBench,
]
