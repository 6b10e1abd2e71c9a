// Rows of ledgers as text: each number as its difference to the row before, in as few bytes as it needs, and all of that in
// base64. Most rows come to rest beside their like, so that one takes some fifteen characters.

import type { LedgerRow } from './ledger.ts'

/** What the rows of a ledger consist of. */
export interface Width {
  readonly ints: number
  readonly times: number
}

/** What stands for a class and for an entry of the column `sourceAt` in the text, which has numbers of its own. */
export interface Numbering {
  readonly sourceAt: number
  classNumber(cls: number): number
  sourceNumber(source: number): number
}

/** A difference takes at most eight bytes, as those of any two whole numbers of 53 bits. */
const bytesPerNumber = 8

/** Writes rows down. Rows are taken one after the other: one that is given out may be reused for the next. */
export class RowWriter {
  #bytes = Buffer.alloc(4096)
  #end = 0

  /** Ids and times are whole numbers, times in ms. */
  write(rows: Iterable<LedgerRow>, width: Width, numbering: Numbering): { text: string; count: number } {
    this.#end = 0
    let count = 0
    let [id, at] = [0, 0]
    const ints = new Array<number>(width.ints).fill(0)
    for (const row of rows) {
      this.#makeRoom((3 + width.ints + width.times) * bytesPerNumber)
      this.#difference(row.id - id)
      this.#difference(row.at - at)
      this.#whole(numbering.classNumber(row.class))
      for (let column = 0; column < width.ints; column++) {
        const value =
          column === numbering.sourceAt ? numbering.sourceNumber(row.ints[column]!) : row.ints[column]!
        this.#difference(value - ints[column]!)
        ints[column] = value
      }
      for (let column = 0; column < width.times; column++) {
        const time = row.times[column] ?? null
        // Most times lie close to the change.
        if (time === null) this.#whole(0)
        else this.#whole(1 + folded(time - row.at))
      }
      ;({ id, at } = row)
      count++
    }
    return { text: this.#bytes.toString('base64', 0, this.#end), count }
  }

  #difference(value: number): void {
    this.#whole(folded(value))
  }

  #whole(value: number): void {
    let left = value
    while (left >= 128) {
      this.#bytes[this.#end++] = 128 + (left % 128)
      left = Math.floor(left / 128)
    }
    this.#bytes[this.#end++] = left
  }

  #makeRoom(bytes: number): void {
    if (this.#end + bytes <= this.#bytes.length) return
    const grown = Buffer.alloc(this.#bytes.length * 2)
    this.#bytes.copy(grown)
    this.#bytes = grown
  }
}

/** Reads rows back; `classes` and `sources` say what the numbers of the text stand for. */
export function* readRows(
  text: string,
  width: Width,
  {
    sourceAt,
    classes,
    sources,
  }: { readonly sourceAt: number; readonly classes: readonly number[]; readonly sources: readonly number[] },
): Generator<LedgerRow> {
  const bytes = Buffer.from(text, 'base64')
  let place = 0
  const whole = (): number => {
    let value = 0
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[place++] ?? 0
      value += (byte % 128) * factor
      if (byte < 128) return value
    }
  }
  let [id, at] = [0, 0]
  const last = new Array<number>(width.ints).fill(0)
  while (place < bytes.length) {
    id += unfolded(whole())
    at += unfolded(whole())
    const cls = whole()
    for (let column = 0; column < width.ints; column++) last[column]! += unfolded(whole())
    const ints = last.map((value, column) => (column === sourceAt ? sources[value]! : value))
    const times = Array.from({ length: width.times }, () => {
      const value = whole()
      return value === 0 ? null : at + unfolded(value - 1)
    })
    yield { id, at, class: classes[cls]!, ints, times }
  }
}

// Small numbers of either sign become small ones without.
function folded(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

function unfolded(value: number): number {
  return value % 2 === 1 ? -(value + 1) / 2 : value / 2
}
