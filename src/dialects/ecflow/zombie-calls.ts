// Zombies by hand: who they are, and what becomes of them. The original has this on its command line only.

import { refuse } from '../../core/refusal.ts'
import { orderZombies, zombieOrders } from '../../domains/suite/planner/zombies.ts'
import type { Answer } from './answer.ts'
import { bodyObject, type Call, mayScalar, needText } from './call.ts'
import { changeBy } from './history.ts'
import type { Parts } from './parts.ts'

/** All of them, without their passwords. */
export function showZombies(parts: Parts): Answer {
  const zombies = []
  for (const [path, records] of parts.keeper.living.zombies) {
    for (const { kind, remoteId, expiresAt, action } of records) {
      zombies.push({
        path,
        type: kind,
        rid: remoteId,
        action: action ?? '',
        expires_at: new Date(expiresAt).toISOString(),
      })
    }
  }
  return { status: 200, value: { zombies } }
}

/** `{path, action, rid?}`: about the zombies of a path, or the one with that process id. */
export async function orderAboutZombies(parts: Parts, call: Call): Promise<Answer> {
  const body = bodyObject(call)
  const path = needText(body, 'path')
  const word = needText(body, 'action')
  const remoteId = mayScalar(body, 'rid')
  const action = zombieOrders.find(it => it === word)
  if (!action) refuse('bad-field', `action: expected one of ${zombieOrders.join(', ')}`, { field: 'action' })
  const order = { action, ...(remoteId === undefined ? {} : { remoteId }) }
  await changeBy(parts, call, { path: '/', text: `zombie_${action} ${path}` }, living =>
    orderZombies(living, path, order),
  )
  return { status: 200, value: { path, message: 'Zombie updated successfully' } }
}
