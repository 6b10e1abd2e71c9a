// The thread of decode-aside.ts: decodes one image and hands its pixels over.

import { parentPort, workerData } from 'node:worker_threads'
import { Refused } from '../../../core/refusal.ts'
import { decodeImage } from './image.ts'

try {
  const pixels = decodeImage(workerData.mediaType, workerData.bytes)
  parentPort?.postMessage({ pixels }, [pixels.bytes.buffer as ArrayBuffer])
} catch (error) {
  if (!(error instanceof Refused)) throw error
  parentPort?.postMessage({ text: error.refusal.text })
}
