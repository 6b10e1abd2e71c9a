// Time-outs of the network.

import type { After } from '../../../domains/dicom/network/waiting.ts'

export const after: After = (ms, run) => {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}
