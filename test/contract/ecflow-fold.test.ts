// A large suite's changes are folded into a new image slice by slice, while the server goes on; and what is broken off,
// by a change of the tree or by the server's end, leaves nothing behind and loses nothing.

import { afterEach, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/store/memory/disk.ts'
import { type Changes, StoreFailed } from '../../src/store/store.ts'
import { type EcflowServer, startEcflow, token } from './ecflow-server.ts'

let server: EcflowServer | undefined
afterEach(() => server?.close())

const tasks = 4000
const long = 'x'.repeat(100_000)
const definition = [
  'suite big',
  ...Array.from({ length: tasks }, (_, index) => [
    ` task t${index}`,
    `  label l "${'some text of a label '.repeat(8)}"`,
    '  meter m 0 100',
  ]).flat(),
].join('\n')

/** What a commit did to the images: `piece`, `image` and `change`, and these with a `-` for what was dropped. */
function kindsOf(changes: Changes): string[] {
  return changes.records.flatMap(change => {
    const [at, sign] = 'put' in change ? [change.put, ''] : [change.drop, '-']
    const kind = { 'ecflow.suite': 'image', 'ecflow.piece': 'piece', 'ecflow.change': 'change' }[
      at.collection
    ]
    return kind === undefined ? [] : [sign + kind]
  })
}

async function setup(disk: MemoryDisk, options: { failsAt?: string } = {}) {
  const commits: string[][] = []
  const own = await startEcflow({
    disk,
    onCommit: (apply, changes) => {
      const kinds = kindsOf(changes)
      if (commits.length > 5 && options.failsAt !== undefined && kinds.includes(options.failsAt))
        throw new StoreFailed('full', 'no space in this test')
      apply()
      commits.push(kinds)
    },
  })
  server = own
  return { own, commits }
}

const label = (own: EcflowServer, index: number, value: string) =>
  own.ask('PUT', `/v1/suites/big/t${index}/attributes`, { type: 'label', name: 'l', value }, token)
const tree = async (own: EcflowServer) => (await own.ask('GET', '/v1/suites/tree?content=full')).text

async function until(what: () => boolean): Promise<void> {
  for (let left = 2000; left > 0; left--) {
    if (what()) return
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  throw new Error('it never came')
}

async function fill(own: EcflowServer, commits: string[][]): Promise<void> {
  expect((await own.ask('POST', '/v1/suites', { definition }, token)).status).toBe(201)
  await beginFold(own, commits)
}

/** Changes enough for a fold to begin. */
async function beginFold(own: EcflowServer, commits: string[][]): Promise<void> {
  commits.length = 0
  for (let index = 0; index < 30 && !commits.some(it => it.includes('piece')); index++)
    await label(own, index, long)
  await until(() => commits.some(it => it.includes('piece')))
}

const pieceCount = (disk: MemoryDisk) => [...(disk.records.get('ecflow.piece')?.keys() ?? [])].length

test('a fold writes one piece at a time, others change things meanwhile, and all of it is there after a restart', async () => {
  const disk = new MemoryDisk()
  const { own, commits } = await setup(disk)
  await fill(own, commits)
  for (let index = 100; !commits.some(it => it.includes('image')); index++) {
    await label(own, index, `changed meanwhile ${index}`)
    await own.ask('PUT', `/v1/suites/big/t${index}/attributes`, { type: 'meter', name: 'm', value: 7 }, token)
  }
  expect(Math.max(...commits.map(it => it.filter(kind => kind === 'piece').length))).toBe(1)
  const turn = commits.find(it => it.includes('image'))!
  // Older changes are in the image; those that came while it was printed hold over it.
  expect(turn.filter(it => it === '-change').length).toBeGreaterThan(5)
  expect(disk.records.get('ecflow.change')!.size).toBeGreaterThan(0)
  const before = await tree(own)
  await own.close()
  const again = await setup(disk)
  expect(await tree(again.own)).toBe(before)
})

test('a node that is added meanwhile breaks the fold off, and the next one is whole', async () => {
  const disk = new MemoryDisk()
  const { own, commits } = await setup(disk)
  await fill(own, commits)
  let pieces = 0
  // On a busy machine the fold may be over before the new node arrives: then there is another.
  for (let tries = 0; ; tries++) {
    pieces = pieceCount(disk)
    const added = await own.ask(
      'PUT',
      '/v1/suites/big/definition',
      { definition: `task added${tries}` },
      token,
    )
    expect(added.status).toBe(200)
    if (!commits.some(it => it.includes('image'))) break
    expect(tries).toBeLessThan(20)
    await beginFold(own, commits)
  }
  expect(pieceCount(disk)).toBeLessThan(pieces)
  await label(own, 50, long)
  await until(() => commits.some(it => it.includes('image')))
  const before = await tree(own)
  expect(before).toContain('"added0"')
  await own.close()
  const again = await setup(disk)
  expect(await tree(again.own)).toBe(before)
})

test('a fold whose last word fails leaves the old image, and what was begun is dropped', async () => {
  const disk = new MemoryDisk()
  const { own, commits } = await setup(disk, { failsAt: 'image' })
  await fill(own, commits)
  await until(() => !own.server.engine.up)
  const strays = pieceCount(disk)
  await until(() => own.server.engine.up)
  const before = await tree(own)
  await until(() => pieceCount(disk) < strays)
  await own.close()
  expect(commits.some(it => it.includes('image'))).toBe(false)
  const again = await setup(disk)
  expect(await tree(again.own)).toBe(before)
})
