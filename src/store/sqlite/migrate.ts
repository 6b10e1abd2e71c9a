// Brings a database to the newest schema: numbered .sql files, forward only, each in a transaction of its own with
// the number it leaves behind (user_version).

import { readdirSync, readFileSync } from 'node:fs'
import { StoreFailed } from '../store.ts'
import type { Database } from './binding.ts'

/** Marks the file as ours ("Yard"), so that another program's database is not filled with our tables. */
const applicationId = 0x59617264

const folder = new URL('../migrations/sqlite/', import.meta.url)

export interface Migration {
  readonly version: number
  readonly name: string
  readonly sql: string
}

/** All migrations in their order. */
export function readMigrations(): Migration[] {
  return readdirSync(folder)
    .filter(name => name.endsWith('.sql'))
    .sort()
    .map(name => ({
      version: Number.parseInt(name, 10),
      name,
      sql: readFileSync(new URL(name, folder), 'utf8'),
    }))
}

/** Applies what is missing. Refuses a database that a newer version, or another program, has made. */
export function migrate(
  database: Database,
  file: string,
  migrations = readMigrations(),
): { applied: string[] } {
  const version = readPragma(database, 'user_version')
  const newest = migrations.at(-1)?.version ?? 0
  const owner = readPragma(database, 'application_id')
  const isEmpty = database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
  if (!isEmpty && owner !== applicationId) {
    throw new StoreFailed('broken', `${file} is a database of another program; it is left as it is`)
  }
  if (version > newest) {
    throw new StoreFailed(
      'schema',
      `${file} was written by a newer Switchyard (schema ${version}; this one knows ${newest}). ` +
        'Start that version, or restore a backup made before it was installed',
    )
  }
  const missing = migrations.filter(migration => migration.version > version)
  for (const migration of missing) apply(database, migration)
  return { applied: missing.map(migration => migration.name) }
}

function apply(database: Database, migration: Migration): void {
  database.exec('BEGIN IMMEDIATE')
  try {
    database.exec(migration.sql)
    // Both are part of the database's header and so of the transaction.
    database.exec(`PRAGMA application_id = ${applicationId}`)
    database.exec(`PRAGMA user_version = ${migration.version}`)
    database.exec('COMMIT')
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

function readPragma(database: Database, name: 'user_version' | 'application_id'): number {
  return Number(database.prepare(`PRAGMA ${name}`).get()![name])
}
