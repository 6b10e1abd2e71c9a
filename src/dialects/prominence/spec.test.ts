import { expect, test } from 'vitest'
import type { Kit } from '../dialect.ts'
import { Specs } from './spec.ts'

/** A history of texts that notes how many characters each look at it gave. */
function setupSpecs(texts: ReadonlyMap<number, string>) {
  const looks: number[] = []
  const specs = async (places: readonly number[], { charsMax = Number.POSITIVE_INFINITY } = {}) => {
    const found = new Map<number, string>()
    let chars = 0
    for (const n of places) {
      const text = texts.get(n)
      if (text === undefined) continue
      found.set(n, text)
      chars += text.length
      if (chars >= charsMax) break
    }
    looks.push(chars)
    return found
  }
  return { specs: new Specs({ engine: { history: { specs } } } as unknown as Kit), looks }
}

const own = (size: number) => JSON.stringify({ document: { name: 'x'.repeat(size) }, by: { groups: [] } })
const ofWorkflow = (workflow: number) => JSON.stringify({ workflow, job: 0, index: null })
const workflow = (size: number) =>
  JSON.stringify({
    document: { name: 'w', jobs: [{ name: 'j', cmd: 'x'.repeat(size) }] },
    by: { groups: [] },
  })

test('short documents are read together, long ones one by one, and the unknown left out', async () => {
  const texts = new Map<number, string>()
  for (let n = 1; n <= 200; n++) if (n !== 50) texts.set(n, own(n > 190 ? 5_000_000 : 10))
  const { specs, looks } = setupSpecs(texts)
  const seen: number[] = []
  const jobs = Array.from({ length: 205 }, (_, at) => ({ n: at + 1 }))
  for await (const [{ n }, { document }] of specs.jobs(jobs)) {
    seen.push(n)
    expect(document.name).toHaveLength(n > 190 ? 5_000_000 : 10)
  }
  expect(seen).toEqual([...texts.keys()])
  expect(looks).toHaveLength(11)
  expect(Math.max(...looks)).toBeLessThan(9_000_000)
})

test('the workflows used last are at hand, as many as are not too long together, and always the last one', async () => {
  const texts = new Map([
    [1, workflow(10)],
    [2, workflow(10)],
    [3, workflow(70_000_000)],
    [11, ofWorkflow(1)],
    [12, ofWorkflow(2)],
    [13, ofWorkflow(3)],
  ])
  const { specs, looks } = setupSpecs(texts)
  const readsOf = async (n: number) => {
    looks.length = 0
    expect(await specs.job({ n, name: '' })).toMatchObject({ name: 'w/j' })
    return looks.length - 1
  }
  expect([await readsOf(11), await readsOf(12), await readsOf(11), await readsOf(12)]).toEqual([1, 1, 0, 0])
  expect([await readsOf(13), await readsOf(13)]).toEqual([1, 0])
  expect([await readsOf(11), await readsOf(13)]).toEqual([1, 1])
})
