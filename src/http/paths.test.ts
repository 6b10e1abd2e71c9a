import { expect, test } from 'vitest'
import { claimFor, PathTable } from './paths.ts'

test('the longest claim that covers whole segments wins', () => {
  const claims = new Map([
    ['/yard', 'a'],
    ['/yard/v1', 'b'],
    ['/jobs', 'c'],
  ])
  expect(
    ['/yard', '/yard/', '/yard/v1/jobs', '/yard/v10', '/jobs', '/jobsite', '/', ''].map(path =>
      claimFor(claims, path),
    ),
  ).toEqual(['a', 'a', 'b', 'a', 'c', undefined, undefined, undefined])
})

test('the methods of a path are those of every pattern that fits it', () => {
  const table = new PathTable()
  table.add('/jobs', ['GET', 'POST'])
  table.add('/jobs/:id', ['GET'])
  table.add('/jobs/:id(^\\d+$)/logs', ['GET'])
  table.add('/jobs/:id/', ['DELETE'])
  table.add('/files/*', ['PUT'])
  table.add('/at/:lat-:lon', ['GET'])
  table.add('/v/:version?', ['GET'])
  table.add('/a::b', ['GET'])
  const found = (path: string) => table.methods(path).join()
  expect(found('/jobs')).toBe('GET,POST')
  expect(found('/jobs/7')).toBe('GET')
  expect(found('/jobs/7/')).toBe('DELETE')
  expect(found('/jobs/7/x')).toBe('')
  expect(found('/files/a/b/c')).toBe('PUT')
  expect(found('/at/1-2')).toBe('GET')
  expect(found('/v')).toBe('GET')
  expect(found('/v/2')).toBe('GET')
  expect(found('/a:b')).toBe('GET')
  expect(found('/jobsx')).toBe('')
})
