import { expect, test } from 'vitest'
import { readListQuery } from './query.ts'

const read = (query: string) => readListQuery(new URLSearchParams(query))

test('without parameters only active ones are listed', () => {
  expect(read('')).toMatchObject({ ended: undefined, active: true, detail: false })
  expect(read('completed=false&num=5')).toMatchObject({ ended: undefined, active: true })
})

test('completed lists ended ones only, one unless num says otherwise', () => {
  expect(read('completed=true')).toMatchObject({ ended: { num: 1 }, active: false })
  expect(read('completed=true&num=7')).toMatchObject({ ended: { num: 7 } })
  expect(read('completed=true&num=-1')).toMatchObject({ ended: { num: undefined } })
})

test('any value of all counts, and takes the limit away', () => {
  expect(read('all=false&num=1')).toMatchObject({ ended: { num: undefined }, active: true })
})

test('a status overrides completed and all', () => {
  expect(read('completed=true&all=true&status=idle')).toMatchObject({
    ended: undefined,
    active: true,
    status: 'idle',
  })
})

test('a list of ids means active and ended ones, all of them', () => {
  expect(read('id=2,1,2')).toMatchObject({ ids: [2, 1], ended: { num: undefined }, active: true })
})

test('with workflow=true the first id is a workflow, and completed decides as usual', () => {
  expect(read('id=34,35&workflow=true&num=-1')).toMatchObject({
    workflow: 34,
    ids: undefined,
    ended: undefined,
  })
  expect(read('completed=true&id=34&workflow=true')).toMatchObject({
    workflow: 34,
    ended: { num: undefined },
  })
})

test('every constraint has exactly one equals sign, and several are kept', () => {
  expect(read('constraint=run%3Dr%2F5.1&constraint=a=b').labels).toEqual([
    ['run', 'r/5.1'],
    ['a', 'b'],
  ])
  expect(() => read('constraint=app')).toThrow('Invalid constraint')
  expect(() => read('constraint=a=b=c')).toThrow('Invalid constraint')
})

test('numbers that are none are refused by name', () => {
  expect(() => read('completed=true&num=x')).toThrow('num must be an integer')
  expect(() => read('id=x')).toThrow('ids must be integers')
  expect(() => read('id=')).toThrow('ids must be integers')
  expect(() => read('status=done')).toThrow('invalid status specified')
})
