// Messages on their way out: commands and data sets cut into fragments that the peer takes.

import { type Command, hasDataSet, writeCommand } from './command.ts'
import type { OpenContext } from './inbox.ts'
import { frameData } from './pdu.ts'

/** The command alone; `isFollowed`: it says that a data set comes behind it. */
export function frameCommand(
  context: OpenContext,
  command: Command,
  { isFollowed, pduBytesMax }: { isFollowed: boolean; pduBytesMax: number },
): Buffer {
  const whole = isFollowed ? { ...command, dataSetType: hasDataSet } : command
  return frameData(writeCommand(whole), { context: context.id, pduBytesMax, isCommand: true, isLast: true })
}

/** A command and its data set in one piece: a peer need not wake twice for a small instance. */
export function frameMessage(
  context: OpenContext,
  command: Command,
  { data, pduBytesMax }: { data: Uint8Array; pduBytesMax: number },
): Buffer {
  const head = frameCommand(context, command, { isFollowed: true, pduBytesMax })
  const body = frameData(data, { context: context.id, pduBytesMax, isCommand: false, isLast: true })
  return Buffer.concat([head, body], head.length + body.length)
}

/** A data set that comes in chunks, as fragments. */
export async function* frameChunks(
  context: OpenContext,
  source: AsyncIterable<Uint8Array>,
  pduBytesMax: number,
): AsyncGenerator<Buffer> {
  for await (const { bytes, isLast } of evenChunks(source))
    yield frameData(bytes, { context: context.id, pduBytesMax, isCommand: false, isLast })
}

/** The chunks of a data set, joined so that all but the last have even lengths, as fragments must. */
async function* evenChunks(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<{ bytes: Uint8Array; isLast: boolean }> {
  let held: Uint8Array = new Uint8Array(0)
  for await (const chunk of source) {
    if (chunk.length === 0) continue
    const odd = held.length % 2
    if (held.length > odd) yield { bytes: held.subarray(0, held.length - odd), isLast: false }
    held = odd === 0 ? chunk : Buffer.concat([held.subarray(held.length - 1), chunk])
  }
  yield { bytes: held, isLast: true }
}
