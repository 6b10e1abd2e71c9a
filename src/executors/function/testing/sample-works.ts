// Functions for the tests of the function executor: the ill-behaved ones among them are what it is there for.

import { appendFileSync, existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { threadId } from 'node:worker_threads'
import type { Work, WorkPart, WorkTools } from '../../../core/work.ts'

const text = (input: unknown, name: string) => String((input as Record<string, unknown>)[name])

export const mark: Work = input => appendFileSync(text(input, 'path'), 'ran\n')

export const print: Work = async (input, tools) => {
  for (const line of text(input, 'text').trimEnd().split('\n')) tools.log(line)
  while (!existsSync(text(input, 'until'))) await sleep(10)
}

/** Hears of a stop and does not care. */
export const ignore: Work = async (_, tools) => {
  void tools.signal
  for (;;) await sleep(50)
}

/** Never waits, but asks. */
export const busyAsking: Work = (_, tools) => {
  while (tools.stopReason() === undefined);
  throw new Error(`noticed ${tools.stopReason()}, signal aborted: ${tools.signal.aborted}`)
}

/** Asks twice at a time, and gives back what it was told. */
export const askAround: Work = async (input, tools) => {
  const bytes = new Uint8Array(8).fill(7)
  const [first, second] = await Promise.all([
    tools.ask(input),
    tools.ask(bytes, [bytes.buffer]).catch((error: Error) => error.message),
  ])
  return { detail: { first: first as string, second: second as string, left: bytes.length } }
}

export const eatMemory: Work = () => {
  const eaten: unknown[] = []
  for (;;) eaten.push(new Array(10_000).fill(eaten.length).map(String))
}

export const exitThread: Work = () => process.exit(3)

export const throwLater: Work = async () => {
  setTimeout(() => {
    throw new Error('thrown where nobody catches')
  }, 1)
  await sleep(60_000)
}

export const throwOddly: Work = () => {
  throw null
}

export const unsendable: Work = () => ({ detail: { secret: (() => 1) as never } })

export const scratch: Work = (_, tools: WorkTools) => {
  writeFileSync(join(tools.scratchDir, 'note'), 'x')
  return { detail: { dir: tools.scratchDir, files: readdirSync(tools.scratchDir), blobs: tools.blobsDir } }
}

export const manySteps: Work = async (_, tools) => {
  for (let i = 0; i <= 1000; i++) {
    tools.progress(i / 1000, { step: i })
    if (i % 100 === 0) await sleep(5)
  }
}

/** Succeeds all the same when it is asked to stop: the first final fact wins. */
export const finishAnyway: Work = async (_, tools) => {
  await new Promise<void>(resolve => tools.signal.addEventListener('abort', () => resolve()))
  return { detail: { heard: tools.stopReason() ?? '' } }
}

export const notAFunction = 5

/** Tells its thread, echoes bytes back without a copy, throws, or ends its thread. */
export const echoBeside: WorkPart = () => question => {
  if (question instanceof Uint8Array) return { value: question, give: [question.buffer as ArrayBuffer] }
  if (question === 'end') process.exit(4)
  if (question === 'throw') throw new Error('not this one')
  return { value: { threadId, question: question as string } }
}
