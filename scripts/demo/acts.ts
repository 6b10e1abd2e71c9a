// The demo, in the order in which it is played: one act a dialect.

import type { Act } from './act.ts'
import { ecflow } from './ecflow.ts'
import { native } from './native.ts'
import { ncdjango } from './ncdjango.ts'
import { orthanc } from './orthanc.ts'
import { prominence } from './prominence.ts'
import { scale } from './scale.ts'

export const acts: readonly Act[] = [native, prominence, scale, orthanc, ncdjango, ecflow]
