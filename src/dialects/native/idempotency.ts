// Idempotency-Key: a submit that is repeated with the same key and the same body gives the first one's answer.
// The key is kept in the batch of the submit itself, so either both are durable or neither.

import { createHash } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { Json } from '../../core/json.ts'
import type { Principal } from '../../core/principal.ts'
import { refuse } from '../../core/refusal.ts'
import { Serial } from '../../core/serial.ts'
import type { Tx } from '../../engine/engine.ts'
import type { Kit } from '../dialect.ts'
import type { Answer } from './route.ts'

const collection = 'native.idempotency'
/** How long a key is remembered. */
export const keyLifeMs = 24 * 3_600_000
/** How many outlived keys each new one takes along. */
const sweptAtOnce = 4

export interface Idempotency {
  /** Submits, at most once per key. `submit` runs inside one batch and gives the answer that is kept. */
  once(request: FastifyRequest, principal: Principal, submit: (tx: Tx) => Answer): Promise<Answer>
}

/** Remembers the answers to requests that carry an Idempotency-Key. */
export function idempotency(kit: Kit): Idempotency {
  const serial = new Serial()

  return {
    once(request, principal, submit) {
      const key = request.headers['idempotency-key']
      if (key === undefined) return kit.engine.write(submit)
      if (typeof key !== 'string' || key.length === 0 || key.length > 200) {
        refuse('bad-field', 'Idempotency-Key must have 1 to 200 characters', { field: 'Idempotency-Key' })
      }
      const id = `${principal.name}\n${request.method} ${request.routeOptions.url}\n${key}`
      return serial.run(id, () => submitOnce(id, hashOf(request.body as Buffer | undefined), submit))
    },
  }

  async function submitOnce(id: string, hash: string, submit: (tx: Tx) => Answer): Promise<Answer> {
    const now = kit.clock.now()
    const known = (await kit.records.get(collection, id))?.body as
      | { hash: string; answer: Answer; at: number }
      | undefined
    if (known !== undefined && known.at + keyLifeMs > now) {
      if (known.hash !== hash)
        refuse('key-reused', 'This Idempotency-Key was used with another body', { field: 'Idempotency-Key' })
      return { ...known.answer, headers: { ...known.answer.headers, 'Idempotency-Replayed': 'true' } }
    }
    const outlived = await kit.records.list({
      collection,
      where: [{ name: 'at', to: now - keyLifeMs }],
      limit: sweptAtOnce,
    })
    return kit.engine.write(tx => {
      const answer = submit(tx)
      for (const record of outlived.items)
        if (record.id !== id) tx.record({ drop: { collection, id: record.id } })
      tx.record({
        put: {
          collection,
          id,
          body: { hash, at: now, answer: answer as unknown as Json },
          index: [['at', now]],
        },
      })
      return answer
    })
  }
}

function hashOf(body: Buffer | undefined): string {
  return createHash('sha256')
    .update(body ?? '')
    .digest('base64')
}
