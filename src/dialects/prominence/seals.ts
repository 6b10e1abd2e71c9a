// Secrets of submissions (the tokens of registries and storage providers) are stored sealed, with a key that lies in the
// data directory beside the store: a copy of the store alone does not tell them.

import { makeTextSeal } from '../sealed-text.ts'
import type { JobDocument, TaskDocument } from './document.ts'

export interface Seals {
  /** The document with its secrets sealed for their owner. */
  seal<T extends JobDocument>(document: T, owner: string): T
  /** A secret as it was given; throws where the key is another one, or the seal is another owner's. */
  open(text: string, owner: string): string
}

/** Seals made with a key of 32 bytes. */
export function openSeals(key: Uint8Array, random: (bytes: Uint8Array) => void): Seals {
  const { seal: sealText, open } = makeTextSeal(key, random)
  const sealTask = (task: TaskDocument, owner: string): TaskDocument => {
    const { imagePullCredential: credential } = task
    if (credential === undefined) return task
    return { ...task, imagePullCredential: { ...credential, token: sealText(credential.token, owner) } }
  }
  return {
    seal(document, owner) {
      const { storage, tasks } = document
      return {
        ...document,
        tasks: tasks.map(task => sealTask(task, owner)),
        ...(storage === undefined
          ? {}
          : {
              storage: {
                ...storage,
                onedata: { ...storage.onedata, token: sealText(storage.onedata.token, owner) },
              },
            }),
      }
    },
    open(text, owner) {
      const found = open(text, owner)
      if (found !== undefined) return found
      throw new Error(
        'a secret of the submission cannot be read: secrets/prominence-seals is another one now',
      )
    },
  }
}
