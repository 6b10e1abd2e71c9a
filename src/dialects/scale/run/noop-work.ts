// The built-in image local/noop: work that is done as soon as it begins.

import type { Work } from '../../../core/work.ts'

export const noop: Work = () => undefined
