// The thread of unpack-aside.ts: decodes what comes, one after another, and hands the pixels over.

import { parentPort } from 'node:worker_threads'
import { type PackedPixels, unpackPixels } from './native-pixels.ts'

parentPort?.on('message', (packed: PackedPixels) => {
  const found = unpackPixels(packed)
  parentPort?.postMessage(found, found ? [found.bytes.buffer as ArrayBuffer] : [])
})
