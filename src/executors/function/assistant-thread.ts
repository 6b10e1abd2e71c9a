// The inside of an assistant: loads its part of a work, and answers questions one after the other.

import { parentPort, workerData } from 'node:worker_threads'
import type { PartAnswerer, WorkPart } from '../../core/work.ts'
import { lateBlobs } from './late-blobs.ts'
import type { AssistantSettings, FromAssistant, ToAssistant } from './messages.ts'

await assist(workerData as AssistantSettings, parentPort!)

async function assist(settings: AssistantSettings, port: NonNullable<typeof parentPort>): Promise<void> {
  const tell = (message: FromAssistant, give?: readonly ArrayBuffer[]) => port.postMessage(message, give)
  const { url, export: name = 'default' } = settings.part
  const exports = (await import(url)) as Record<string, unknown>
  const answer: PartAnswerer = await (exports[name] as WorkPart)({ blobs: lateBlobs(settings) })
  port.on('message', ({ question, body }: ToAssistant) => {
    try {
      const { value, give } = answer(body)
      tell({ type: 'answer', question, value }, give)
    } catch (error) {
      const text = error instanceof Error ? error.message || error.name : String(error)
      tell({ type: 'failed', question, error: text })
    }
  })
  tell({ type: 'ready' })
}
