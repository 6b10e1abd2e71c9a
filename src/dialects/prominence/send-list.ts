// A list as JSON, written while it is read: small ones go out with their length, long ones in pieces.

import { Readable } from 'node:stream'
import type { Json } from '../../core/json.ts'
import type { Call } from './call.ts'

/** Up to here an answer is held back, so that it can say how long it is. */
const wholeBytesMax = 256 * 1024

/** Answers with a JSON array of what a generator gives. */
export async function sendList({ reply }: Call, items: AsyncIterable<Json>): Promise<unknown> {
  reply.code(200).header('content-type', 'application/json')
  const pieces = piecesOf(items)[Symbol.asyncIterator]()
  const held: string[] = []
  let size = 0
  while (size < wholeBytesMax) {
    const { value, done } = await pieces.next()
    if (done) return reply.send(Buffer.from(held.join('')))
    held.push(value)
    size += value.length
  }
  return reply.send(
    Readable.from(
      (async function* () {
        yield Buffer.from(held.join(''))
        for (let piece = await pieces.next(); !piece.done; piece = await pieces.next())
          yield Buffer.from(piece.value)
      })(),
      { objectMode: false },
    ),
  )
}

/** Says in the header `Link` where the next stretch of a list is. */
export function linkNext({ request, reply }: Call, next: string | undefined): void {
  if (next === undefined) return
  const [path = '', query] = request.url.split('?')
  const words = new URLSearchParams(query)
  words.set('after', next)
  reply.header('link', `<${path}?${words}>; rel="next"`)
}

async function* piecesOf(items: AsyncIterable<Json>): AsyncGenerator<string> {
  let before = '['
  for await (const item of items) {
    yield before + JSON.stringify(item)
    before = ','
  }
  yield before === '[' ? '[]\n' : ']\n'
}
