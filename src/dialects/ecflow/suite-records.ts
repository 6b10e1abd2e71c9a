// How suites lie in the store: for each an image in pieces, and the changes since. Changes are folded into a new image when
// they are many; that of a large suite is printed and written slice by slice, while others have their turn.
// docs/decisions/040.

import { isObject, type Json } from '../../core/json.ts'
import {
  type Change,
  imageOfSuite,
  readChanges,
  readImage,
  type SuiteChange,
} from '../../domains/suite/keeping/journal.ts'
import { persistedPieces } from '../../domains/suite/language/print-definition.ts'
import type { Living } from '../../domains/suite/planner/living.ts'
import type { Node } from '../../domains/suite/tree/node.ts'
import type { Tx } from '../../engine/engine.ts'
import type { Rec, Records } from '../../store/store.ts'
import { every } from './pages.ts'

const imageCollection = 'ecflow.suite'
const pieceCollection = 'ecflow.piece'
const changeCollection = 'ecflow.change'

/** Images are stored in pieces: one of ten megabytes would exist several times over while it is being written. */
const pieceLength = 512 * 1024

/** A suite's changes are folded into a new image when they are many, or weigh more than the image itself. */
const changesMin = 500
/** For each so many bytes of image one more. */
const bytesPerChange = 1000
const changeBytesMin = 256 * 1024
/** When folding was broken off again and again, an image is written at once: so many times what is usual. */
const patience = 3

interface KeptSuite {
  /** Names the image's pieces; 0 for one that was written in one go by an older server. */
  readonly generation: number
  /** How many records hold the image, the first one included. */
  readonly pieceCount: number
  readonly imageBytes: number
  changeBytes: number
  readonly changeIds: string[]
  fold: Fold | undefined
}

/** An image in the making. Everything that changes meanwhile is written down as a change, too, and holds over it. */
interface Fold {
  readonly generation: number
  /** So many of the changes are in it whatever happens. */
  readonly changeCount: number
  first: string
  pieceCount: number
  imageBytes: number
  /** Children came or went: what was printed is no good. */
  isOff: boolean
}

export class SuiteRecords {
  readonly #suites = new Map<string, KeptSuite>()
  #seq = 0
  /** Pieces of images that were never finished. */
  readonly #strays: string[] = []
  readonly #wantFold = new Set<string>()

  /** Reads all suites back, below a root. */
  static async load(records: Records, root: Node): Promise<SuiteRecords> {
    const own = new SuiteRecords()
    for await (const record of every(records, { collection: imageCollection, order: 'seq' })) {
      await own.#loadImage(records, root, record)
    }
    for await (const record of every(records, { collection: changeCollection, order: 'id' })) {
      const kept = own.#suites.get(record.parent ?? '')
      if (!kept) continue
      const text = textOf(record.body)
      readChanges(root, JSON.parse(text) as Change[])
      kept.changeIds.push(record.id)
      kept.changeBytes += text.length
      own.#seq = Math.max(own.#seq, Number(record.id.slice(record.id.lastIndexOf('/') + 1)))
    }
    return own
  }

  async #loadImage(records: Records, root: Node, record: Rec): Promise<void> {
    const suite = record.id
    const { generation, pieceCount } = shapeOf(record.body)
    const pieces = [textOf(record.body)]
    for await (const piece of every(records, { collection: pieceCollection, parent: suite, order: 'id' })) {
      const isNext = pieces.length < pieceCount && piece.id === pieceId(suite, generation, pieces.length)
      if (isNext) pieces.push(textOf(piece.body))
      else this.#strays.push(piece.id)
    }
    const text = pieces.join('')
    readImage(root, text)
    this.#seq = Math.max(this.#seq, generation)
    this.#suites.set(suite, keptImage({ generation, imageBytes: text.length, pieceCount: pieces.length }))
  }

  /** Drops what an unfinished image left behind, if any. */
  sweep(write: (fn: (tx: Tx) => void) => void): void {
    const strays = this.#strays.splice(0)
    if (strays.length === 0) return
    write(tx => {
      for (const id of strays) tx.record({ drop: { collection: pieceCollection, id } })
    })
  }

  /** Writes down what became of a suite in a turn. */
  write(tx: Tx, living: Living, change: SuiteChange): void {
    const { suite } = change
    const kept = this.#suites.get(suite)
    if (change.type === 'gone') {
      if (kept) this.#drop(tx, suite, kept)
      return
    }
    if (change.type === 'image' || !kept) {
      this.#writeImage(tx, suite, change.type === 'image' ? change.pieces : imageOfSuite(living, suite))
      return
    }
    if (change.changes.some(it => it[0] === 'put' || it[0] === 'drop')) breakOff(tx, suite, kept)
    const text = JSON.stringify(change.changes)
    const bytesMax = Math.max(changeBytesMin, kept.imageBytes)
    const countMax = Math.max(changesMin, kept.imageBytes / bytesPerChange)
    const weight = Math.max((kept.changeBytes + text.length) / bytesMax, kept.changeIds.length / countMax)
    if (weight >= (kept.imageBytes <= pieceLength ? 1 : patience)) {
      this.#writeImage(tx, suite, imageOfSuite(living, suite))
      return
    }
    if (weight >= 1 && !kept.fold) this.#wantFold.add(suite)
    const id = `${suite}/${String(++this.#seq).padStart(15, '0')}`
    kept.changeIds.push(id)
    kept.changeBytes += text.length
    tx.record({ put: { collection: changeCollection, id, parent: suite, body: { text } } })
  }

  /** The suites that should be folded, each once. */
  takeWanted(): string[] {
    const names = [...this.#wantFold]
    this.#wantFold.clear()
    return names
  }

  /**
   * Prints a suite anew, a slice in each turn of the event loop, and writes pieces as they fill. False when it was broken
   * off; else `finish` makes it the image.
   */
  async fold(
    suite: string,
    parts: {
      living: Living
      write: (fn: (tx: Tx) => void) => Promise<void>
      nextTurn: () => Promise<unknown>
    },
  ): Promise<boolean> {
    const kept = this.#suites.get(suite)
    const top = parts.living.root.child(suite)
    if (!kept || !top || kept.fold) return false
    const fold: Fold = {
      generation: ++this.#seq,
      changeCount: kept.changeIds.length,
      first: '',
      pieceCount: 0,
      imageBytes: 0,
      isOff: false,
    }
    kept.fold = fold
    let open: string[] = []
    let length = 0
    const close = async () => {
      const text = open.join('')
      open = []
      length = 0
      fold.imageBytes += text.length
      if (fold.pieceCount++ === 0) {
        fold.first = text
        return
      }
      await parts.write(tx => {
        if (!fold.isOff) putPiece(tx, suite, { ...fold, index: fold.pieceCount - 1, text })
      })
    }
    for (const text of persistedPieces(top)) {
      open.push(text)
      length += text.length
      if (length >= pieceLength) await close()
      await parts.nextTurn()
      if (fold.isOff) return false
    }
    if (open.length > 0) await close()
    return !fold.isOff
  }

  /** Makes what was folded the image, in a turn that has written everything down that changed before. */
  finish(tx: Tx, suite: string): void {
    const kept = this.#suites.get(suite)
    const fold = kept?.fold
    if (!kept || !fold || fold.isOff) return
    const { generation, pieceCount, imageBytes } = fold
    putImage(tx, suite, { generation, pieces: pieceCount, text: fold.first })
    dropPieces(tx, suite, kept)
    for (const id of kept.changeIds.slice(0, fold.changeCount)) dropChange(tx, id)
    const changeIds = kept.changeIds.slice(fold.changeCount)
    const changeBytes = kept.changeBytes * (changeIds.length / Math.max(1, kept.changeIds.length))
    this.#suites.set(suite, { ...keptImage({ generation, pieceCount, imageBytes }), changeIds, changeBytes })
  }

  #writeImage(tx: Tx, suite: string, printed: readonly string[]): void {
    const before = this.#suites.get(suite)
    if (before) {
      breakOff(tx, suite, before)
      for (const id of before.changeIds) dropChange(tx, id)
      dropPieces(tx, suite, before)
    }
    const generation = ++this.#seq
    const pieces = gather(printed)
    const imageBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    pieces.forEach((text, index) => {
      if (index === 0) putImage(tx, suite, { generation, pieces: pieces.length, text })
      else putPiece(tx, suite, { generation, index, text })
    })
    this.#suites.set(suite, keptImage({ generation, imageBytes, pieceCount: pieces.length }))
  }

  #drop(tx: Tx, suite: string, kept: KeptSuite): void {
    breakOff(tx, suite, kept)
    for (const id of kept.changeIds) dropChange(tx, id)
    tx.record({ drop: { collection: imageCollection, id: suite } })
    dropPieces(tx, suite, kept)
    this.#suites.delete(suite)
  }
}

/** What is being folded is no good any more, or not wanted. */
function breakOff(tx: Tx, suite: string, kept: KeptSuite): void {
  const { fold } = kept
  if (!fold) return
  fold.isOff = true
  dropPieces(tx, suite, fold)
  kept.fold = undefined
}

function putImage(tx: Tx, suite: string, image: { generation: number; pieces: number; text: string }): void {
  tx.record({ put: { collection: imageCollection, id: suite, body: { ...image } } })
}

function putPiece(tx: Tx, suite: string, piece: { generation: number; index: number; text: string }): void {
  const id = pieceId(suite, piece.generation, piece.index)
  tx.record({ put: { collection: pieceCollection, id, parent: suite, body: { text: piece.text } } })
}

/** All pieces of an image but the first, which is the image's own record. */
function dropPieces(tx: Tx, suite: string, of: { generation: number; pieceCount: number }): void {
  for (let index = 1; index < of.pieceCount; index++) {
    tx.record({ drop: { collection: pieceCollection, id: pieceId(suite, of.generation, index) } })
  }
}

function dropChange(tx: Tx, id: string): void {
  tx.record({ drop: { collection: changeCollection, id } })
}

function pieceId(suite: string, generation: number, index: number): string {
  const at = String(index).padStart(6, '0')
  return generation === 0 ? `${suite}/${at}` : `${suite}/${String(generation).padStart(15, '0')}/${at}`
}

/** The generation of an image, and how many pieces it has; the oldest did not say. */
function shapeOf(body: Json): { generation: number; pieceCount: number } {
  const { generation, pieces } = isObject(body) ? body : {}
  return typeof generation === 'number' && typeof pieces === 'number'
    ? { generation, pieceCount: pieces }
    : { generation: 0, pieceCount: Number.POSITIVE_INFINITY }
}

function keptImage(of: Pick<KeptSuite, 'generation' | 'imageBytes' | 'pieceCount'>): KeptSuite {
  return { ...of, changeBytes: 0, changeIds: [], fold: undefined }
}

/** Joins what was printed to pieces of about the stored length. */
function gather(printed: readonly string[]): string[] {
  const pieces: string[] = []
  let open: string[] = []
  let length = 0
  for (const text of printed) {
    open.push(text)
    length += text.length
    if (length < pieceLength) continue
    pieces.push(open.join(''))
    open = []
    length = 0
  }
  if (open.length > 0 || pieces.length === 0) pieces.push(open.join(''))
  return pieces
}

function textOf(body: Json): string {
  return isObject(body) && typeof body['text'] === 'string' ? body['text'] : ''
}
