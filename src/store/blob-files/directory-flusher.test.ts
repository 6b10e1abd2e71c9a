import { expect, test } from 'vitest'
import { DirectoryFlusher } from './directory-flusher.ts'

test('writers who ask while a round is going on share one flush per directory', async () => {
  const flushed: string[] = []
  const gate = Promise.withResolvers<void>()
  const flusher = new DirectoryFlusher(async directory => {
    flushed.push(directory)
    if (flushed.length === 1) await gate.promise
  })
  const first = flusher.flush('a')
  const others = Array.from({ length: 20 }, (_, at) => flusher.flush(at % 2 ? 'a' : 'b'))
  gate.resolve()
  await Promise.all([first, ...others])
  // The one that was under way may have missed their names, so it does not count for them.
  expect(flushed.sort()).toEqual(['a', 'a', 'b'])
})

test('a failed flush fails those who waited for that directory, and nobody else', async () => {
  const flusher = new DirectoryFlusher(async directory => {
    if (directory === 'bad') throw new Error('broken disk')
  })
  const [good, bad] = await Promise.allSettled([flusher.flush('good'), flusher.flush('bad')])
  expect(good!.status).toBe('fulfilled')
  expect(bad).toMatchObject({ status: 'rejected', reason: { message: 'broken disk' } })
  await flusher.flush('good')
})
