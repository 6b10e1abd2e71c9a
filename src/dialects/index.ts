// The tongues of this yard: one line each. app/ opens them in this order.

import type { Dialect } from './dialect.ts'
import { ecflow } from './ecflow/index.ts'
import { native } from './native/index.ts'
import { ncdjango } from './ncdjango/index.ts'
import { orthanc } from './orthanc/index.ts'
import { prominence } from './prominence/index.ts'
import { scale } from './scale/index.ts'

export const dialects: readonly Dialect[] = [native, prominence, scale, orthanc, ncdjango, ecflow]
