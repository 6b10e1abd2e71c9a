// Whether the stored objects that a submission counts on are there: told at once instead of when the job runs.

import type { Principal } from '../../core/principal.ts'
import { refuse } from '../../core/refusal.ts'
import { findObject, objectId } from './objects.ts'
import type { ObjectNeeded } from './objects-needed.ts'
import type { Parts } from './parts.ts'

/** Refuses with the first that is not there, or not the caller's to use. */
export async function checkObjects(
  parts: Parts,
  who: Principal,
  needed: Iterable<ObjectNeeded>,
): Promise<void> {
  for (const { what, name } of needed) {
    const id = objectId(who, name)
    if (id === undefined || (await findObject(parts, id)) === undefined)
      refuse('bad-field', `${what} ${name} does not exist`)
  }
}
