// Puts and drops of records, inside the writer's transaction. A put compares with what is there: index entries that
// did not change are not touched, because they are most of the cost of a record.

import { type Entries, wellFormedEntries } from '../conditions.ts'
import type { RecordChange } from '../store.ts'
import { checkEntries } from '../whole.ts'
import { type Database, prepareRows, type Statement } from './binding.ts'
import { type Catalog, countName } from './catalog.ts'
import type { Row } from './rows.ts'
import * as sql from './sql.ts'

type Put = Extract<RecordChange, { put: unknown }>['put']

export class RecordWriter {
  readonly #catalog: Catalog
  readonly #toReplace: Statement
  readonly #insert: Statement
  readonly #updateBody: Statement
  readonly #update: Statement
  readonly #drop: Statement
  readonly #insertEntry: Statement
  readonly #dropEntry: Statement
  readonly #addToCollection: Statement
  readonly #putMark: Statement
  readonly #lastRecord: Statement
  #last: number
  /** How many records each collection gained in this transaction. */
  readonly #gained = new Map<number, number>()
  #dropped = false
  /** Statements run so far, for the figures of a commit. */
  statements = 0

  constructor(database: Database, catalog: Catalog) {
    this.#catalog = catalog
    this.#toReplace = prepareRows(database, sql.recordToReplace)
    this.#insert = database.prepare(sql.insertRecord)
    this.#updateBody = database.prepare(sql.updateBody)
    this.#update = database.prepare(sql.updateRecord)
    this.#drop = database.prepare(sql.dropRecord)
    this.#insertEntry = database.prepare(sql.insertEntry)
    this.#dropEntry = database.prepare(sql.dropEntry)
    this.#addToCollection = database.prepare(sql.addToCollection)
    this.#putMark = database.prepare(sql.putMark)
    this.#lastRecord = prepareRows(database, sql.lastRecord)
    this.#last = this.#readLast()
  }

  /** Writes the changes of one transaction. Of several puts of one record the last is written, in the place of the first. */
  apply(changes: readonly RecordChange[]): void {
    for (const change of lastPuts(changes)) {
      if ('put' in change) this.#put(change.put)
      else this.#dropOne(change.drop.collection, change.drop.id)
    }
    this.#finish()
  }

  /** Writes what is counted once a transaction. */
  #finish(): void {
    for (const [collection, gained] of this.#gained) {
      if (gained !== 0) this.#addToCollection.run(countName(collection), gained)
      this.statements++
    }
    // A dropped record may have been the newest: its number must not come again.
    if (this.#dropped) this.#putMark.run('record', this.#last)
    this.#reset()
  }

  /** To be called after a rollback. */
  takeBack(): void {
    this.#reset()
    this.#catalog.forget()
    this.#last = this.#readLast()
  }

  #put({ collection, id, parent = null, body, index = [] }: Put): void {
    const place = this.#catalog.giveCollection(collection.toWellFormed())
    checkEntries(index)
    const entries = wellFormedEntries(index)
    const text = entries.length === 0 ? null : JSON.stringify(entries)
    const bodyText = JSON.stringify(body)
    const had = this.#toReplace.get(place, id) as Row | undefined
    this.statements += 2
    if (had === undefined) {
      const seq = ++this.#last
      this.#insert.run(seq, place, id, parent, text, bodyText)
      for (const entry of this.#resolve(place, entries)) this.#addEntry(entry, seq)
      this.#gained.set(place, (this.#gained.get(place) ?? 0) + 1)
      return
    }
    const [seq, hadParent, hadText] = had as [number, string | null, string | null]
    if (hadText === text && hadParent === (parent?.toWellFormed() ?? null)) {
      this.#updateBody.run(bodyText, seq)
      return
    }
    this.#update.run(bodyText, text, parent, seq)
    if (hadText !== text) this.#replaceEntries(place, seq, readEntries(hadText), entries)
  }

  #replaceEntries(collection: number, seq: number, old: Entries, now: Entries): void {
    const kept = new Set(now.map(entry => JSON.stringify(entry)))
    const had = new Set(old.map(entry => JSON.stringify(entry)))
    for (const entry of this.#resolve(
      collection,
      old.filter(entry => !kept.has(JSON.stringify(entry))),
    )) {
      this.#dropEntry.run(entry.name, entry.value, seq)
      this.statements++
    }
    // All of `now` is resolved, so that a second entry of a name is noticed even if the first one stayed.
    for (const entry of this.#resolve(collection, now)) {
      if (!had.has(entry.text)) this.#addEntry(entry, seq)
    }
  }

  #dropOne(collection: string, id: string): void {
    const place = this.#catalog.collection(collection.toWellFormed())
    const had = place === undefined ? undefined : (this.#toReplace.get(place, id) as Row | undefined)
    if (place === undefined || had === undefined) return
    const [seq, , text] = had as [number, string | null, string | null]
    for (const entry of this.#resolve(place, readEntries(text))) {
      this.#dropEntry.run(entry.name, entry.value, seq)
      this.statements++
    }
    this.#drop.run(seq)
    this.statements += 2
    this.#gained.set(place, (this.#gained.get(place) ?? 0) - 1)
    this.#dropped = true
  }

  #addEntry(entry: ResolvedEntry, seq: number): void {
    this.#insertEntry.run(entry.name, entry.value, seq)
    this.statements++
  }

  #resolve(collection: number, entries: Entries): ResolvedEntry[] {
    const seen = new Set<number>()
    return entries.map(entry => {
      const name = this.#catalog.giveIndexName(collection, entry[0])
      if (seen.has(name.n)) this.#catalog.markMultiple(name)
      seen.add(name.n)
      return { name: name.n, value: entry[1], text: JSON.stringify(entry) }
    })
  }

  #readLast(): number {
    return (this.#lastRecord.get() as unknown as Row)[0] as number
  }

  #reset(): void {
    this.#gained.clear()
    this.#dropped = false
  }
}

/** Many clients who share a batch write the same counts and marks one after the other: only the last are seen. */
function lastPuts(changes: readonly RecordChange[]): readonly RecordChange[] {
  if (changes.length === 1) return changes
  const kept: RecordChange[] = []
  const places = new Map<string, number>()
  for (const change of changes) {
    const { collection, id } = 'put' in change ? change.put : change.drop
    const key = `${collection}\0${id}`.toWellFormed()
    const place = places.get(key)
    if (place !== undefined && 'put' in change && 'put' in kept[place]!) kept[place] = change
    else places.set(key, kept.push(change) - 1)
  }
  return kept
}

interface ResolvedEntry {
  readonly name: number
  readonly value: string | number
  readonly text: string
}

function readEntries(text: string | null): Entries {
  return text === null ? [] : (JSON.parse(text) as Entries)
}
