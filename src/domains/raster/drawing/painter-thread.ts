// The inside of a painter: a thread that draws images and answers questions about values, one order at a time.

import { parentPort } from 'node:worker_threads'
import { isBroken } from '../netcdf/netcdf4.ts'
import { encodePicture, type ImageFormat } from './encode.ts'
import { answerFacts, type FactsOrder } from './facts.ts'
import { type ImageOrder, paint } from './paint.ts'

export type PainterOrder =
  | {
      readonly type: 'image'
      readonly image: ImageOrder
      readonly format: ImageFormat
      readonly isTransparent: boolean
    }
  | { readonly type: 'facts'; readonly facts: FactsOrder }

export type PainterAnswer =
  | { readonly ok: true; readonly bytes?: Uint8Array; readonly facts?: Record<string, unknown> }
  | {
      readonly ok: false
      readonly message: string
      readonly code?: string
      /** A library has fallen over: the thread is of no use any more. */
      readonly isLast?: boolean
    }

parentPort?.on('message', (order: PainterOrder) => {
  answer(order).then(
    value => parentPort!.postMessage(value),
    (error: unknown) => {
      const { message, code } = error as NodeJS.ErrnoException
      const failed: PainterAnswer = {
        ...{ ok: false, message },
        ...(code === undefined ? {} : { code }),
        ...(isBroken(error) ? { isLast: true } : {}),
      }
      parentPort!.postMessage(failed)
    },
  )
})

async function answer(order: PainterOrder): Promise<PainterAnswer> {
  if (order.type === 'facts') return { ok: true, facts: await answerFacts(order.facts) }
  const picture = await paint(order.image)
  const { format, isTransparent } = order
  return { ok: true, bytes: await encodePicture(picture, { format, isTransparent }) }
}
