// Decodes an image on a thread of its own when it is large enough to hold up everybody else.

import { Worker } from 'node:worker_threads'
import { Refused, refuse } from '../../../core/refusal.ts'
import { decodeImage, imageSize, type Pixels } from './image.ts'

const asideFrom = 200_000

/** As decodeImage, without blocking the caller's thread for long. */
export async function decodeAside(mediaType: string, bytes: Uint8Array): Promise<Pixels> {
  if (imageSize(mediaType, bytes) < asideFrom) return decodeImage(mediaType, bytes)
  // Built, the file beside this one has another ending.
  const file = import.meta.url.endsWith('.ts') ? './decode-worker.ts' : './decode-worker.js'
  const worker = new Worker(new URL(file, import.meta.url), {
    workerData: { mediaType, bytes },
  })
  try {
    const answer = await new Promise<{ pixels: Pixels } | { text: string }>((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', code => reject(new Error(`the decoder ended with code ${code}`)))
    })
    if ('pixels' in answer) return answer.pixels
    return refuse('bad-field', answer.text, { field: 'Content', facts: { fault: 'bad-content' } })
  } catch (error) {
    if (error instanceof Refused) throw error
    return refuse(
      'bad-field',
      `The image cannot be decoded: ${error instanceof Error ? error.message : error}`,
      {
        field: 'Content',
        facts: { fault: 'bad-content' },
      },
    )
  } finally {
    await worker.terminate()
  }
}
