import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { BlobFiles } from '../blob-files/blob-files.ts'
import { storeConformance } from '../conformance.ts'
import { StoreFailed } from '../store.ts'
import { aBatch, aJob } from '../testing/samples.ts'
import { MemoryDisk } from './disk.ts'
import { MemoryStore } from './memory-store.ts'

storeConformance('memory', async () => {
  const disk = new MemoryDisk()
  const folder = await mkdtemp(join(tmpdir(), 'memory-store-'))
  return {
    folder,
    make: () => new MemoryStore({ disk, blobs: new BlobFiles(join(folder, 'blobs')) }),
    restore: async target => new MemoryStore({ disk: MemoryDisk.read(await readFile(target, 'utf8')) }),
    remove: () => rm(folder, { recursive: true }),
  }
})

describe('a memory store in a simulation', () => {
  test('keeps what was applied before a crash, and nothing of what was not', async () => {
    const disk = new MemoryDisk()
    const held: (() => void)[] = []
    const store = new MemoryStore({
      disk,
      onCommit: apply => {
        if (held.length === 0) apply()
        held.push(apply)
      },
    })
    await store.open()
    await store.commit(aBatch({ newJobs: [aJob({ n: 1 })] }))
    await store.commit(aBatch({ newJobs: [aJob({ n: 2 })] }))
    store.crash()
    // A write that was under way when the power went finds no store any more.
    expect(held[1]).toThrow(StoreFailed)
    const after = await new MemoryStore({ disk }).open()
    expect(after.jobs.map(job => job.n)).toEqual([1])
  })

  test('can fail a commit before it is applied, or after', async () => {
    const disk = new MemoryDisk()
    let when: 'before' | 'after' = 'before'
    const store = new MemoryStore({
      disk,
      onCommit: apply => {
        if (when === 'after') apply()
        throw new StoreFailed('full', 'no space in this test')
      },
    })
    await store.open()
    await expect(store.commit(aBatch({ newJobs: [aJob({ n: 1 })] }))).rejects.toThrow('no space')
    expect(await store.history.job({ n: 1 })).toBeUndefined()
    when = 'after'
    await expect(store.commit(aBatch({ newJobs: [aJob({ n: 1 })] }))).rejects.toThrow('no space')
    expect(await store.history.job({ n: 1 })).toBeDefined()
  })

  test('resolves a commit when the simulation says so, with the batch as it was handed over', async () => {
    const log: string[] = []
    const gate = Promise.withResolvers<void>()
    const store = new MemoryStore({
      onCommit: async apply => {
        await gate.promise
        apply()
      },
    })
    await store.open()
    const job = aJob({ n: 1, name: 'as handed over' })
    const done = store.commit(aBatch({ newJobs: [job] })).then(() => log.push('durable'))
    job.state = 'running'
    log.push('waiting')
    gate.resolve()
    await done
    expect(log).toEqual(['waiting', 'durable'])
    expect(await store.history.job({ n: 1 })).toMatchObject({ state: 'ready', name: 'as handed over' })
  })

  test('refuses blobs when it was made without a place for them', () => {
    expect(() => new MemoryStore().blobs).toThrow('without a place for blobs')
  })
})
