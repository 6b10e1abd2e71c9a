import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { checkVersion } from './binding.ts'
import { migrate, readMigrations } from './migrate.ts'
import { SqliteStore } from './sqlite-store.ts'

test('migrations are numbered from 1 without gaps', () => {
  expect(readMigrations().map(({ version }) => version)).toEqual(readMigrations().map((_, at) => at + 1))
})

test('only what is missing is applied, and a second start applies nothing', async () => {
  const { open } = await setup()
  const [first, second, third] = [1, 2, 3].map(version => ({
    version,
    name: `${version}.sql`,
    sql: `CREATE TABLE t${version} (a) STRICT;`.replace('(a)', '(a TEXT)'),
  }))
  const database = open()
  expect(migrate(database, 'f', [first!])).toEqual({ applied: ['1.sql'] })
  expect(migrate(database, 'f', [first!, second!, third!])).toEqual({ applied: ['2.sql', '3.sql'] })
  expect(migrate(database, 'f', [first!, second!, third!])).toEqual({ applied: [] })
  expect(tablesOf(database)).toEqual(['t1', 't2', 't3'])
})

test('a migration that fails leaves the schema before it, whole', async () => {
  const { open } = await setup()
  const good = { version: 1, name: '1.sql', sql: 'CREATE TABLE a (x TEXT) STRICT;' }
  const bad = {
    version: 2,
    name: '2.sql',
    sql: 'CREATE TABLE b (x TEXT) STRICT; CREATE TABLE a (x TEXT) STRICT;',
  }
  const database = open()
  expect(() => migrate(database, 'f', [good, bad])).toThrow('already exists')
  expect(tablesOf(database)).toEqual(['a'])
  expect(database.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 })
})

test('a newer schema is refused with both numbers and what to do, and is left as it is', async () => {
  const { directory, open } = await setup()
  await (async () => {
    const store = new SqliteStore({ directory })
    await store.open()
    await store.close()
  })()
  const newer = readMigrations().length + 3
  const database = open()
  database.exec(`PRAGMA user_version = ${newer}`)
  database.close()
  const failure = await new SqliteStore({ directory }).open().catch(error => error)
  expect(failure).toMatchObject({ name: 'StoreFailed', code: 'schema' })
  expect(failure.message).toContain(`schema ${newer}; this one knows ${newer - 3}`)
  expect(open().prepare('PRAGMA user_version').get()).toEqual({ user_version: newer })
  // And the directory is not left locked.
  await expect(new SqliteStore({ directory }).open()).rejects.toMatchObject({ code: 'schema' })
})

test("another program's database is refused and left as it is", async () => {
  const { directory, open } = await setup()
  const database = open()
  database.exec('CREATE TABLE theirs (a TEXT); PRAGMA user_version = 1')
  database.close()
  await expect(new SqliteStore({ directory }).open()).rejects.toMatchObject({
    code: 'broken',
    message: expect.stringContaining('another program'),
  })
  expect(tablesOf(open())).toEqual(['theirs'])
})

test('a file that is no database is refused and left as it is', async () => {
  const { directory, file } = await setup()
  const text = 'These are not the tables you are looking for. '.repeat(200)
  await writeFile(file, text)
  await expect(new SqliteStore({ directory }).open()).rejects.toMatchObject({
    name: 'StoreFailed',
    code: 'broken',
  })
  expect(await readFile(file, 'utf8')).toBe(text)
})

test('an SQLite that is too old is refused by its number', () => {
  for (const version of ['3.51.2', '3.50.9', '3.9.0', '2.99.99']) {
    expect(() => checkVersion(version)).toThrow(`SQLite ${version}`)
  }
  for (const version of ['3.51.3', '3.51.4', '3.53.0', '4.0.0']) checkVersion(version)
})

async function setup() {
  const directory = await mkdtemp(join(tmpdir(), 'migrate-'))
  const file = join(directory, 'yard.db')
  const opened: DatabaseSync[] = []
  onTestFinished(async () => {
    for (const database of opened) if (database.isOpen) database.close()
    await rm(directory, { recursive: true })
  })
  const open = () => {
    const database = new DatabaseSync(file)
    opened.push(database)
    return database
  }
  return { directory, file, open }
}

function tablesOf(database: DatabaseSync): string[] {
  const rows = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all()
  return rows.map(row => String(row['name']))
}
