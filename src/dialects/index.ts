// The tongues of this yard: one line each. app/ opens them in this order.

import type { Dialect } from './dialect.ts'
import { native } from './native/index.ts'

export const dialects: readonly Dialect[] = [native]
