import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { storeConformance } from '../conformance.ts'
import { SqliteStore } from './sqlite-store.ts'

storeConformance('sqlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sqlite-store-'))
  return {
    folder,
    make: () => new SqliteStore({ directory: join(folder, 'data') }),
    restore: async target => {
      const directory = join(folder, 'restored')
      await mkdir(directory)
      await rename(target, join(directory, 'yard.db'))
      return new SqliteStore({ directory })
    },
    remove: () => rm(folder, { recursive: true }),
  }
})
