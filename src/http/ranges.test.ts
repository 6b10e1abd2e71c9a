import { Readable } from 'node:stream'
import fc from 'fast-check'
import fastify from 'fastify'
import { expect, test } from 'vitest'
import { matches, readRange, sendBytes } from './ranges.ts'

const text = 'abcdefghij'

async function ask(headers: Record<string, string>, method: 'GET' | 'HEAD' = 'GET', body = text) {
  const app = fastify({ exposeHeadRoutes: false })
  app.route({
    method: ['GET', 'HEAD'],
    url: '/',
    handler: (request, reply) =>
      sendBytes(request, reply, {
        sizeBytes: body.length,
        mediaType: 'text/plain',
        etag: '"v1"',
        open: ({ from, to }) => Readable.from([Buffer.from(body.slice(from, to))]),
      }),
  })
  const answer = await app.inject({ method, url: '/', headers })
  return {
    status: answer.statusCode,
    body: answer.body,
    length: answer.headers['content-length'],
    range: answer.headers['content-range'],
  }
}

test('without a range everything is sent, with its length', async () => {
  expect(await ask({})).toEqual({ status: 200, body: text, length: '10', range: undefined })
})

test('a first, a middle, an open and a suffix range are sent as parts', async () => {
  const part = async (range: string) => {
    const { status, body, range: said } = await ask({ range })
    return [status, body, said]
  }
  expect(await part('bytes=0-0')).toEqual([206, 'a', 'bytes 0-0/10'])
  expect(await part('bytes=2-5')).toEqual([206, 'cdef', 'bytes 2-5/10'])
  expect(await part('bytes=7-')).toEqual([206, 'hij', 'bytes 7-9/10'])
  expect(await part('bytes=-3')).toEqual([206, 'hij', 'bytes 7-9/10'])
  expect(await part('bytes=-99')).toEqual([206, text, 'bytes 0-9/10'])
  expect(await part('bytes=8-99999999999999999999')).toEqual([206, 'ij', 'bytes 8-9/10'])
})

test('a range beyond the end is a 416 that says how long the thing is', async () => {
  expect(await ask({ range: 'bytes=10-' })).toEqual({
    status: 416,
    body: '',
    length: '0',
    range: 'bytes */10',
  })
  expect((await ask({ range: 'bytes=-0' })).status).toBe(416)
  expect((await ask({ range: 'bytes=0-' }, 'GET', '')).status).toBe(416)
})

test('ranges that are void, of another unit, or several, are answered with everything', async () => {
  for (const range of ['bytes=5-2', 'lines=0-1', 'bytes=0-1,4-5', 'bytes=', 'bytes=a-b', 'bytes 0-1']) {
    expect([range, (await ask({ range })).status]).toEqual([range, 200])
  }
})

test('a range of a state that is gone is answered with everything', async () => {
  expect((await ask({ range: 'bytes=0-1', 'if-range': '"v1"' })).status).toBe(206)
  expect((await ask({ range: 'bytes=0-1', 'if-range': '"v0"' })).status).toBe(200)
})

test('a thing that has not changed is a 304, and HEAD tells its length', async () => {
  expect((await ask({ 'if-none-match': '"v0", W/"v1"' })).status).toBe(304)
  expect((await ask({ 'if-none-match': '*' })).status).toBe(304)
  expect(await ask({ range: 'bytes=0-1' }, 'HEAD')).toMatchObject({ status: 200, body: '', length: '10' })
  expect(matches('"v2"', '"v1"')).toBe(false)
})

test('whatever a client asks, a range lies within the thing', () => {
  const header = fc.oneof(
    fc.string(),
    fc.tuple(fc.option(fc.nat()), fc.option(fc.nat())).map(([a, b]) => `bytes=${a ?? ''}-${b ?? ''}`),
  )
  fc.assert(
    fc.property(header, fc.nat(100), (header, size) => {
      const range = readRange(header, size)
      if (typeof range === 'object') {
        expect(range.from).toBeGreaterThanOrEqual(0)
        expect(range.to).toBeGreaterThan(range.from)
        expect(range.to).toBeLessThanOrEqual(size)
      }
    }),
    { seed: 20261122, numRuns: 1000 },
  )
})
