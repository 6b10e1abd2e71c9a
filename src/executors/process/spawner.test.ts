import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { outcomeOf } from './ending.ts'
import type { SpawnNews } from './spawn-entry.ts'
import type { SpawnOrder } from './spawn-order.ts'
import { Spawner } from './spawner.ts'

async function setup() {
  const folder = mkdtempSync(join(tmpdir(), 'switchyard-spawner-'))
  const news: SpawnNews[] = []
  const ends = new Map<string, (item: Extract<SpawnNews, { type: 'ended' }>) => void>()
  const spawner = new Spawner({
    folder: join(folder, 'spool'),
    onNews: items => {
      news.push(...items)
      for (const item of items) if (item.type === 'ended') ends.get(item.key)?.(item)
    },
  })
  await spawner.open()
  onTestFinished(async () => {
    await spawner.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  const run = (order: Partial<SpawnOrder> & Pick<SpawnOrder, 'key' | 'argv'>) =>
    new Promise<Extract<SpawnNews, { type: 'ended' }>>(resolve => {
      ends.set(order.key, resolve)
      spawner.spawn([{ env: { PATH: '/usr/bin:/bin' }, cwd: '/', ...order }])
    })
  return { spawner, folder, news, run }
}

test('files are open for the program as descriptors 3, 4 and so on, and nothing else is', async () => {
  const { spawner, folder, run } = await setup()
  const files = ['a', 'b', 'c', 'd', 'e'].map(name => join(folder, name))
  for (const file of files) writeFileSync(file, file.slice(-1))
  await run({
    key: 'k',
    argv: ['sh', '-c', 'cat <&3; cat <&4; cat <&5; cat <&6; cat <&7; ls /proc/$$/fd'],
    files,
  })
  const chunk = await spawner.read('k', 'out', 0, 1000)
  expect(Buffer.from(chunk!.bytes).toString()).toBe(`abcde${[0, 1, 2, 3, 4, 5, 6, 7].join('\n')}\n`)
})

test('a file that cannot be opened is a failed launch', async () => {
  const { run } = await setup()
  const { ending } = await run({ key: 'k', argv: ['true'], files: ['/no/such/file'] })
  expect(outcomeOf(ending)).toMatchObject({
    reason: 'launch',
    message: 'cannot open /no/such/file: No such file or directory',
  })
})

test('streams go where they are wanted, and stay there when they are empty', async () => {
  const { folder, run } = await setup()
  const [outFile, errFile] = [join(folder, 'out'), join(folder, 'err')]
  await run({ key: 'k', argv: ['echo', 'hello'], outFile, errFile })
  expect([readFileSync(outFile, 'utf8'), readFileSync(errFile, 'utf8')]).toEqual(['hello\n', ''])
})

test('a stream of one attempt never shows up in the next that uses its place', async () => {
  const { spawner, run } = await setup()
  for (const [key, text] of [
    ['a', 'first'],
    ['b', ''],
    ['c', 'third'],
    ['d', ''],
  ] as const) {
    await run({ key, argv: ['printf', text] })
    spawner.forget([key], { streams: false })
    const chunk = await spawner.read(key, 'out', 0, 100)
    expect(Buffer.from(chunk?.bytes ?? []).toString()).toBe(text)
  }
})

test('the environment is exactly what was given, and the mark', async () => {
  const { spawner, run } = await setup()
  await run({ key: 'k.1', argv: ['/usr/bin/env'], env: { 'odd.name': 'x=y' } })
  const chunk = await spawner.read('k.1', 'out', 0, 1000)
  expect(Buffer.from(chunk!.bytes).toString().trimEnd().split('\n').sort()).toEqual([
    'SWITCHYARD_ATTEMPT=k.1',
    'odd.name=x=y',
  ])
})

test.each([
  [{ key: '../k' }, /cannot name an attempt/],
  [{ argv: [] }, /no program/],
  [{ argv: ['a\0b'] }, /NUL/],
  [{ env: { 'A=B': '' } }, /proper name/],
])('the order %j ends as a failed launch', async (part, sentence) => {
  const { run } = await setup()
  const { ending } = await run({ key: 'k', argv: ['true'], ...(part as Partial<SpawnOrder>) })
  expect(ending.launchProblem).toMatch(sentence)
})

test('places in the table are used again, and there are as many as are needed', async () => {
  const { spawner, run } = await setup()
  const keys = Array.from({ length: 300 }, (_, index) => `many${index}`)
  const [first, rest] = [keys.slice(0, 20), keys.slice(20)]
  await Promise.all(first.map(key => run({ key, argv: ['true'] })))
  await Promise.all(rest.map(key => run({ key, argv: ['true'] })))
  expect(spawner.keys().sort()).toEqual(keys.sort())
  spawner.forget(keys, { streams: true })
  expect(spawner.keys()).toEqual([])
  await Promise.all(keys.map(key => run({ key: `${key}.again`, argv: ['true'] })))
  expect(spawner.keys()).toHaveLength(300)
})
