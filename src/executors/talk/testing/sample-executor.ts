// The talk executor as its tests and their killed servers make it.

import { appendFileSync, existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Talk } from '../../../core/talk.ts'
import { TalkFailed } from '../../../core/talk.ts'
import { TalkExecutor, type TalkExecutorOptions } from '../talk-executor.ts'

const text = (input: unknown, name: string): string => String((input as Record<string, unknown>)[name])

const talks: Record<string, Talk> = {
  nothing: async () => {},
  fail: async input => {
    throw Object.assign(new Error('it was asked to fail'), { exitCode: Number(text(input, 'exitCode')) })
  },
  failAtOnce: () => {
    throw new TalkFailed('the other side hung up', { sent: 3 })
  },
  tell: async (_, tools) => ({ detail: { job: tools.job } }),
  wait: async (_, tools) => {
    await sleep(300_000, undefined, { signal: tools.signal })
  },
  noteAndStop: async (_, tools) => {
    await sleep(300_000, undefined, { signal: tools.signal }).catch(() => {})
    throw new TalkFailed(`left off (${tools.stopReason()})`, { sent: 7 })
  },
  ignore: async () => {
    for (;;) await sleep(50, undefined, { ref: false })
  },
  print: async (input, tools) => {
    for (const line of text(input, 'text').trimEnd().split('\n')) tools.log(line)
    while (!existsSync(text(input, 'until'))) await sleep(10)
  },
  mark: async input => appendFileSync(text(input, 'path'), 'ran\n'),
}

export function makeExecutor(folder: string, options: Partial<TalkExecutorOptions> = {}): TalkExecutor {
  return new TalkExecutor({
    talks: new Map(Object.entries(talks)),
    folder,
    graceMs: 300,
    progressMs: 20,
    ...options,
  })
}
