// The numbers that stand for collections and for the names of their index entries. Kept in memory once seen; after
// a rollback everything is looked up anew, because numbers given in the lost transaction are gone.

import type { Database, Statement } from './binding.ts'
import * as sql from './sql.ts'

export interface IndexName {
  readonly n: number
  /** Whether some record has, or once had, more than one entry under this name. */
  isMultiple: boolean
}

/** The counter that says how many records a collection has. */
export function countName(collection: number): string {
  return `#${collection}`
}

export class Catalog {
  readonly #collections = new Map<string, number>()
  readonly #names = new Map<number, Map<string, IndexName>>()
  readonly #collectionByName: Statement
  readonly #insertCollection: Statement
  readonly #indexName: Statement
  readonly #insertIndexName: Statement
  readonly #markMultiple: Statement

  constructor(database: Database) {
    this.#collectionByName = database.prepare(sql.collectionByName)
    this.#insertCollection = database.prepare(sql.insertCollection)
    this.#indexName = database.prepare(sql.indexName)
    this.#insertIndexName = database.prepare(sql.insertIndexName)
    this.#markMultiple = database.prepare(sql.markMultiple)
  }

  /** The number of a collection, or undefined when it was never written to. */
  collection(name: string): number | undefined {
    const known = this.#collections.get(name)
    if (known !== undefined) return known
    const row = this.#collectionByName.get(name)
    if (row === undefined) return undefined
    this.#collections.set(name, row['n'] as number)
    return row['n'] as number
  }

  /** The number of an index name within a collection, or undefined when no record ever had it. */
  indexName(collection: number, name: string): IndexName | undefined {
    let names = this.#names.get(collection)
    if (names === undefined) this.#names.set(collection, (names = new Map()))
    const known = names.get(name)
    if (known !== undefined) return known
    const row = this.#indexName.get(collection, name)
    if (row === undefined) return undefined
    const found = { n: row['n'] as number, isMultiple: row['is_multiple'] === 1 }
    names.set(name, found)
    return found
  }

  /** The same, made when absent: only inside a transaction. */
  giveCollection(name: string): number {
    return this.collection(name) ?? this.#remember(name, this.#insertCollection.get(name)!['n'] as number)
  }

  giveIndexName(collection: number, name: string): IndexName {
    const known = this.indexName(collection, name)
    if (known !== undefined) return known
    const made = { n: this.#insertIndexName.get(collection, name)!['n'] as number, isMultiple: false }
    this.#names.get(collection)!.set(name, made)
    return made
  }

  /** Writes down that records may have more than one entry under this name. */
  markMultiple(name: IndexName): void {
    if (name.isMultiple) return
    this.#markMultiple.run(name.n)
    name.isMultiple = true
  }

  /** To be called after every rollback. */
  forget(): void {
    this.#collections.clear()
    this.#names.clear()
  }

  #remember(name: string, n: number): number {
    this.#collections.set(name, n)
    return n
  }
}
