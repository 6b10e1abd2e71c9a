// Completes a job just before each attempt: looks up what it needs, issues its token, compiles it.

import type { Json } from '../../core/json.ts'
import type { Preparer } from '../../engine/engine.ts'
import { basePaths } from './call.ts'
import { compileJob, type FoundObject } from './compile.ts'
import { findObject, objectId } from './objects.ts'
import { objectsOfJob } from './objects-needed.ts'
import type { Parts } from './parts.ts'
import { grantOf, nodesOf } from './resources.ts'

const dayMs = 86_400_000

/** The preparer of our jobs. */
export function jobPreparer(parts: Parts): Preparer {
  const { kit, settings, specs, seals } = parts
  return async ({ n, owner, job: uuid }): Promise<Json> => {
    const job = await kit.engine.job({ n })
    const told = job && (await specs.job(job))
    if (job === undefined || told === undefined) throw new Error('what was submitted is not there any more')
    const who = { name: owner, groups: told.by.groups }
    const objects = new Map<string, FoundObject>()
    for (const { name } of objectsOfJob(told.document, told.parameters)) {
      const id = objectId(who, name)
      const found = id === undefined ? undefined : await findObject(parts, id)
      if (found !== undefined) objects.set(name, found)
    }
    const walltimeMs = job.runMsMax ?? settings.walltimeSecondsDefault * 1000
    const token = await kit.access.issue({
      user: owner,
      groups: told.by.groups,
      role: 'submitter',
      job: uuid,
      // As long as the original's: contracts/prominence.md §3.5.
      expiresAt: kit.clock.now() + 10 * dayMs + 6 * walltimeMs,
      ...(told.by.email === undefined ? {} : { email: told.by.email }),
    })
    return compileJob(told, {
      jobId: n,
      grant: grantOf(job.needs, nodesOf(told.document.resources, job)),
      url: kit.publicUrl() + basePaths[0],
      token,
      openSecret: text => seals.open(text, owner),
      objects,
    })
  }
}
