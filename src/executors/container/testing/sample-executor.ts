// The container executor as the conformance suite makes it: the rootfs driver over a busybox image, and the suite's
// own folder shown to every task at its own path, so that its files can be written.
import { chmodSync, mkdirSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Executor } from '../../executor.ts'
import { ContainerExecutor } from '../container-executor.ts'
import { findImage, type ImageStore, importImage, openImageStore } from '../images/index.ts'
import { busyboxTar } from './yard.ts'

/** The suite's factory. */
export function makeExecutor(folder: string): Executor {
  const shared = dirname(folder)
  mkdirSync(folder, { recursive: true })
  chmodSync(shared, 0o777) // tasks of a root server are another user
  return new ContainerExecutor({
    folder,
    images: () => openBox(folder),
    drivers: ['rootfs'],
    mounts: [{ from: shared, to: shared, readOnly: false }],
  })
}

async function openBox(folder: string): Promise<ImageStore> {
  // One store for all tests of the suite and the servers it kills: making an image durable is slow on a busy disk.
  const store = await openImageStore({ dataDir: process.env['SWITCHYARD_TEST_BOX'] ?? folder, now: Date.now })
  if ((await findImage(store, 'box')) === undefined) {
    const file = join(folder, `box-${process.pid}.tar`)
    await writeFile(file, await busyboxTar())
    await importImage(store, { file, name: 'box', config: { cmd: ['/bin/true'] } })
  }
  return store
}
