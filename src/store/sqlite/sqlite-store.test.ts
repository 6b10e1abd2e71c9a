import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { storeConformance } from '../conformance.ts'
import { aBatch, aJob, anEvent, aPut } from '../testing/samples.ts'
import { allPages, placesOf } from '../testing/store-world.ts'
import { openDatabase, storeFailure } from './binding.ts'
import { openBlobFinder } from './blob-finder.ts'
import { Catalog } from './catalog.ts'
import { migrate, readMigrations } from './migrate.ts'
import { SqliteStore } from './sqlite-store.ts'
import { type CommitStats, Writer } from './writer.ts'

storeConformance('sqlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sqlite-store-'))
  return {
    folder,
    make: () => new SqliteStore({ directory: join(folder, 'data') }),
    restore: async target => {
      const directory = join(folder, 'restored')
      await mkdir(directory)
      await rename(target, join(directory, 'yard.db'))
      return new SqliteStore({ directory })
    },
    remove: () => rm(folder, { recursive: true }),
  }
})

test('tells its observer what every commit cost, and not of those that failed', async () => {
  const seen: CommitStats[] = []
  const { store } = await setup({ observe: stats => seen.push(stats) })
  await store.commit(aBatch({ newJobs: [aJob({ n: 1 }), aJob({ n: 2 })], events: [anEvent({ seq: 1 })] }))
  await expect(store.commit(aBatch({ newJobs: [aJob({ n: 1 })] }))).rejects.toThrow()
  expect(seen).toHaveLength(1)
  // A job and its spec are two rows.
  expect(seen[0]).toMatchObject({ rows: 5, statements: 5 })
  expect(seen[0]!.durationMs).toBeGreaterThan(0)
})

test('a commit that finds the disk full is rolled back, says so, and can be repeated when there is space', async () => {
  const directory = await folder()
  const database = openDatabase(join(directory, 'yard.db'))
  onTestFinished(() => database.close())
  migrate(database, 'yard.db')
  const writer = new Writer(database, new Catalog(database))
  writer.write(aBatch({ newJobs: [aJob({ n: 1 })] }))
  const pages = Number(database.prepare('PRAGMA page_count').get()!['page_count'])
  database.exec(`PRAGMA max_page_count = ${pages + 4}`)
  const large = aBatch({
    newJobs: [aJob({ n: 2, message: 'x'.repeat(100_000) })],
    records: [aPut('c', 'x', { index: [['k', 1]] })],
  })
  expect(() => writer.write(large)).toThrow('database or disk is full')
  expect(
    storeFailure(
      thrownBy(() => writer.write(large)),
      'yard.db',
    ),
  ).toMatchObject({ code: 'full' })
  expect(database.isTransaction).toBe(false)
  expect(database.prepare('SELECT count(*) AS jobs FROM jobs').get()).toEqual({ jobs: 1 })
  expect(database.prepare('SELECT count(*) AS names FROM collections').get()).toEqual({ names: 0 })

  database.exec('PRAGMA max_page_count = 1000000')
  writer.write(large)
  expect(database.prepare('SELECT count(*) AS jobs FROM jobs').get()).toEqual({ jobs: 2 })
  expect(database.prepare('SELECT name, value FROM counters').all()).toEqual([{ name: '#1', value: 1 }])
})

test('a backup is of one moment, while commits go on', async () => {
  const { store, directory } = await setup()
  const commits = async (from: number, count: number) => {
    for (let n = from; n < from + count; n++) {
      await store.commit(aBatch({ newJobs: [aJob({ n })], events: [anEvent({ seq: n, n })] }))
      await new Promise(resolve => setImmediate(resolve))
    }
  }
  await commits(1, 50)
  const target = join(directory, 'copies')
  await mkdir(target)
  await Promise.all([store.backup(target), commits(51, 200)])
  expect(await readdir(target)).toEqual(['yard.db'])
  const copy = new SqliteStore({ directory: target })
  const hot = await copy.open()
  await copy.close()
  expect(hot.jobs.length).toBeGreaterThanOrEqual(50)
  expect(hot.jobs.length).toBe(hot.lastEvent)
})

test('a list that finds too little ends its page early and goes on from there, missing nothing at the seams', async () => {
  const { store } = await setup()
  const last = 60_000
  // Walks from either end stop at these places, whichever of their lengths they have.
  const rare = (n: number) => n % 2500 < 2 || n < 5
  const stateOf = (n: number) => (n % 5000 === 1 || n < 5 ? 'cancelled' : 'failed')
  for (let n = 1; n <= last; n += 5000) {
    const jobs = Array.from({ length: 5000 }, (_, at) =>
      aJob({ n: n + at, state: stateOf(n + at), owner: rare(n + at) ? 'rare' : 'ada' }),
    )
    await store.commit(aBatch({ newJobs: jobs }))
  }
  const wanted = Array.from({ length: last }, (_, at) => at + 1).filter(rare)
  for (const states of [
    undefined,
    ['failed', 'ready'],
    ['failed', 'cancelled'],
    ['failed', 'cancelled', 'ready'],
  ] as const) {
    const expected = wanted.filter(
      n => states === undefined || (states as readonly string[]).includes(stateOf(n)),
    )
    for (const order of ['newest', 'oldest'] as const) {
      const query = { owner: 'rare', order, limit: 100, ...(states !== undefined ? { states } : {}) }
      const first = await store.history.jobs(query)
      expect(first.items.length).toBeLessThan(expected.length)
      expect(first.next).toBeDefined()
      const found = await allPages(100, after =>
        store.history.jobs({ ...query, ...(after !== undefined ? { after } : {}) }),
      )
      expect(placesOf(found)).toEqual(order === 'newest' ? expected.toReversed() : expected)
    }
  }
  const query = { owner: 'rare', kind: 'process', order: 'ended', limit: 100 } as const
  expect((await store.history.jobs({ ...query, owner: 'ada', name: 'none' })).next).toBeDefined()
  const ended = await allPages(100, after =>
    store.history.jobs({ ...query, ...(after !== undefined ? { after } : {}) }),
  )
  expect(placesOf(ended)).toEqual(wanted.toReversed())
})

test('blobs that nobody names after a commit are removed once they are old', async () => {
  const { store } = await setup()
  const ref = await store.blobs.write([Buffer.from('bytes')] as unknown as AsyncIterable<Uint8Array>)
  await store.commit(aBatch({ blobs: [{ ...ref, delta: 1 }] }))
  const hourBefore = new Date(Date.now() - 3_600_000)
  await utimes(store.blobs.path(ref.hash), hourBefore, hourBefore)
  await store.commit(aBatch({ blobs: [{ ...ref, delta: 1 }] }))
  await store.commit(aBatch({ blobs: [{ ...ref, delta: -1 }] }))
  expect(await store.blobs.stat(ref.hash)).toEqual(ref)
  await store.commit(aBatch({ blobs: [{ ...ref, delta: -1 }] }))
  await expect.poll(() => store.blobs.stat(ref.hash), { timeout: 20_000 }).toBeUndefined()
})

test('small content is no file, is in a backup, and leaves nothing behind when its name goes', async () => {
  const { store, directory } = await setup()
  const bytes = Buffer.from('few bytes')
  const hash = createHash('sha256').update(bytes).digest('hex')
  await store.commit(aBatch({ blobs: [{ hash, sizeBytes: bytes.length, delta: 1, bytes }] }))
  expect(store.blobs.find(hash)).toEqual({ bytes: Uint8Array.from(bytes) })
  await expect(readdir(join(directory, 'blobs'))).rejects.toMatchObject({ code: 'ENOENT' })
  // A work thread finds it by a connection of its own.
  expect(openBlobFinder(directory).find(hash)).toEqual({ bytes: Uint8Array.from(bytes) })

  const target = join(await folder(), 'copy')
  await mkdir(target)
  await store.backup(target)
  expect(openBlobFinder(target).find(hash)).toEqual({ bytes: Uint8Array.from(bytes) })

  await store.commit(aBatch({ blobs: [{ hash, sizeBytes: bytes.length, delta: -1 }] }))
  expect(await store.blobs.stat(hash)).toBeUndefined()
  expect('path' in openBlobFinder(directory).find(hash)).toBe(true)
  const database = new DatabaseSync(join(directory, 'yard.db'), { readOnly: true })
  expect(database.prepare('SELECT count(*) AS n FROM small_blobs').get()).toEqual({ n: 0 })
  database.close()
})

test('a directory of the version before small blobs opens, and keeps its files', async () => {
  const directory = join(await folder(), 'data')
  await mkdir(directory)
  const before = openDatabase(join(directory, 'yard.db'))
  migrate(before, 'yard.db', readMigrations().slice(0, 1))
  const bytes = Buffer.from('written by the version before')
  const hash = createHash('sha256').update(bytes).digest('hex')
  before.prepare('INSERT INTO blobs (hash, size_bytes, named_count) VALUES (?, ?, 1)').run(hash, bytes.length)
  before.close()
  const file = join(directory, 'blobs', hash.slice(0, 2), hash.slice(2, 4), hash)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, bytes)
  const store = new SqliteStore({ directory })
  await store.open()
  onTestFinished(() => store.close())
  expect(await store.blobCount(hash)).toBe(1)
  expect(store.blobs.find(hash)).toEqual({ path: file })
  expect(await store.blobs.stat(hash)).toEqual({ hash, sizeBytes: bytes.length })
  await store.commit(aBatch({ blobs: [{ hash, sizeBytes: bytes.length, delta: 1, bytes }] }))
  expect(await store.blobCount(hash)).toBe(2)
})

test('a directory of the version before counts stood with counters opens, and goes on counting', async () => {
  const directory = join(await folder(), 'data')
  await mkdir(directory)
  const before = openDatabase(join(directory, 'yard.db'))
  migrate(before, 'yard.db', readMigrations().slice(0, 2))
  before.exec(`INSERT INTO collections (n, name, row_count) VALUES (1, 'old', 2), (2, 'empty', 0);
    INSERT INTO records (seq, collection, id, body) VALUES (1, 1, 'a', '1'), (2, 1, 'b', '2');
    INSERT INTO counters VALUES ('numbers', 7)`)
  before.close()
  const store = new SqliteStore({ directory })
  const { counters } = await store.open()
  onTestFinished(() => store.close())
  expect([...counters]).toEqual([['numbers', 7]])
  const count = (collection: string) => store.records.count({ collection })
  expect([await count('old'), await count('empty'), await count('none')]).toEqual([2, 0, 0])
  const drop = { drop: { collection: 'old', id: 'a' } }
  await store.commit(aBatch({ records: [drop, aPut('empty', 'x'), aPut('new', 'x'), aPut('new', 'y')] }))
  expect([await count('old'), await count('empty'), await count('new')]).toEqual([1, 1, 2])
  await expect(store.commit(aBatch({ counters: new Map([['#1', 5]]) }))).rejects.toThrow(/name of the store/)
})

test('a store that met a broken disk starts again from its file when it is opened anew', async () => {
  const { store, directory } = await setup()
  await store.commit(aBatch({ newJobs: [aJob({ n: 1 })] }))
  // Another program that holds the file for longer than we wait is as good as a broken disk.
  const other = new DatabaseSync(join(directory, 'yard.db'))
  other.exec('BEGIN IMMEDIATE')
  await expect(store.commit(aBatch({ newJobs: [aJob({ n: 2 })] }))).rejects.toMatchObject({ code: 'locked' })
  other.close()
  expect(placesOf((await store.open()).jobs)).toEqual([1])
  await store.commit(aBatch({ newJobs: [aJob({ n: 2 })] }))
  expect(placesOf((await store.open()).jobs)).toEqual([1, 2])
})

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'sqlite-store-'))
  onTestFinished(() => rm(made, { recursive: true }))
  return made
}

async function setup(options: { observe?: (stats: CommitStats) => void } = {}) {
  const directory = join(await folder(), 'data')
  const store = new SqliteStore({ directory, ...options })
  await store.open()
  onTestFinished(() => store.close())
  return { store, directory }
}

function thrownBy(action: () => unknown): unknown {
  try {
    action()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
