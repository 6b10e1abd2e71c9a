import { expect, test } from 'vitest'
import { workAt } from '../../core/work.ts'
import { Assistants } from './assistant.ts'

const echo = workAt(import.meta.url, './testing/sample-works.ts', 'echoBeside')

function setup(coreCount = 2): Assistants {
  return new Assistants({ blobsDir: '/nowhere', blobFinder: undefined }, coreCount)
}

test('an assistant answers each question, and tells why it cannot', async () => {
  const assistant = setup().get(echo)!
  expect(assistant.isReady).toBe(false)
  const answers = ['a', 'throw', 'b'].map(question => assistant.ask(question))
  expect(assistant.waiting).toBe(3)
  expect(await Promise.allSettled(answers)).toMatchObject([
    { value: { question: 'a' } },
    { reason: new Error('not this one') },
    { value: { question: 'b' } },
  ])
  expect([assistant.isReady, assistant.waiting]).toEqual([true, 0])
  const bytes = new Uint8Array([1, 2, 3])
  expect(await assistant.ask(bytes)).toEqual(bytes)
})

test('the next function of the thread is given the same assistant, and does not wait for what others asked', async () => {
  const assistants = setup()
  const first = assistants.get(echo)!
  const asked = first.ask('a')
  const second = assistants.get(echo)!
  expect([first.waiting, second.waiting]).toEqual([1, 0])
  const [one, two] = (await Promise.all([asked, second.ask('b')])) as { threadId: number }[]
  expect(one!.threadId).toBe(two!.threadId)
})

test('when an assistant ends, its questions fail, and the next function is given another', async () => {
  const assistants = setup()
  const first = assistants.get(echo)!
  await expect(Promise.all([first.ask('end'), first.ask('a')])).rejects.toThrow('the assistant ended')
  expect(first.isReady).toBe(false)
  await expect(first.ask('b')).rejects.toThrow('the assistant ended')
  expect(await assistants.get(echo)!.ask('c')).toMatchObject({ question: 'c' })
})

test('an assistant whose part cannot be loaded never becomes ready, and says why', async () => {
  const assistant = setup().get(workAt(import.meta.url, './testing/nothing-here.ts', 'part'))!
  await expect(assistant.ask('a')).rejects.toThrow(/nothing-here/)
  expect(assistant.isReady).toBe(false)
})

test('with one core there is no assistant', () => {
  expect(setup(1).get(echo)).toBeUndefined()
})
