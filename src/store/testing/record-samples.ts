// Records with every kind of index entry, queries over them, and a plain model of what those must find.

import fc from 'fast-check'
import type { IndexCondition, RecordChange, RecordQuery } from '../store.ts'

/** A record as it is put. */
export type Put = Extract<RecordChange, { put: unknown }>['put']
/** A name and a value that a record is found by. */
export type Entry = readonly [string, string | number]

/** Names with few and with many values, one of them multiple, and some records without any. */
export function sampleRecord(at: number, shift = 0): Put {
  const value = at + shift
  const index: Entry[] = [
    ['half', value % 2],
    ['word', ['alpha', 'alpine', 'beta', '', 'béta'][value % 5]!],
    ['number', (value * 37) % 500],
    ['own', `id${value}`],
  ]
  if (value % 3 === 0) index.push(['tag', 'a'], ['tag', value % 2 ? 'b' : 7], ['tag', `t${value % 50}`])
  return {
    collection: 'c',
    id: `${(at * 7919) % 3000}`,
    parent: at % 100 === 0 ? 'few' : at % 4 === 3 ? null : `p${at % 2}`,
    body: { at, shift },
    index: at % 50 === 49 ? [] : index,
  }
}

/** Conditions that find all, some and none of the samples. */
export function anyCondition(): fc.Arbitrary<IndexCondition> {
  const name = fc.constantFrom('half', 'word', 'number', 'own', 'tag', 'none')
  const value = fc.oneof(
    fc.constantFrom(0, 1, 7, 100, 499, -1, 3.5),
    fc.constantFrom('a', 'b', 'alpha', 'al', '', 'béta', 'id5', 'id2999', 't3'),
  )
  return fc.oneof(
    fc.record({ name, is: value }),
    fc.record({ name, in: fc.array(value, { maxLength: 4 }) }),
    fc.record({ name, prefix: fc.constantFrom('', 'al', 'b', 'id1', 't', 'x') }),
    fc.record({ name, from: value, to: value }, { requiredKeys: ['name'] }),
  )
}

/** Every order that a query can ask for. */
export function anyRecordOrder(): fc.Arbitrary<NonNullable<RecordQuery['order']>> {
  return fc.oneof(
    fc.constantFrom('seq' as const, '-seq' as const, 'id' as const, '-id' as const),
    fc.record(
      { index: fc.constantFrom('half', 'word', 'number', 'own', 'tag', 'none'), down: fc.boolean() },
      { requiredKeys: ['index'] },
    ),
  )
}

/** What the words of the port mean, said once more and as plainly as possible. */
export function expectedRecords(
  all: readonly (Put & { seq: number })[],
  query: { parent?: string; where: readonly IndexCondition[] },
  order: NonNullable<RecordQuery['order']>,
): (Put & { seq: number })[] {
  const fitting = all.filter(
    put =>
      (query.parent === undefined || put.parent === query.parent) &&
      query.where.every(condition =>
        put.index!.some(([name, value]) => name === condition.name && fulfils(value, condition)),
      ),
  )
  if (typeof order === 'string') {
    const sign = order.startsWith('-') ? -1 : 1
    const key = (put: Put & { seq: number }) => (order.endsWith('id') ? put.id : put.seq)
    return fitting.sort((a, b) => sign * byValue(key(a), key(b)))
  }
  const sign = order.down ? -1 : 1
  const keyed = fitting.flatMap(put => {
    const values = put.index!.filter(([name]) => name === order.index).map(([, value]) => value)
    const [first] = values.sort((a, b) => sign * byValue(a, b))
    return first === undefined ? [] : [{ put, first }]
  })
  return keyed
    .sort((a, b) => sign * (byValue(a.first, b.first) || a.put.seq - b.put.seq))
    .map(({ put }) => put)
}

function fulfils(value: string | number, condition: IndexCondition): boolean {
  if ('is' in condition) return value === condition.is
  if ('in' in condition) return condition.in.includes(value)
  if ('prefix' in condition) return typeof value === 'string' && value.startsWith(condition.prefix)
  const { from, to } = condition
  return (
    [from, to].every(bound => bound === undefined || typeof bound === typeof value) &&
    (from === undefined || byValue(value, from) >= 0) &&
    (to === undefined || byValue(value, to) <= 0)
  )
}

function byValue(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'number' || typeof b === 'number') return typeof a === 'number' ? -1 : 1
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}
