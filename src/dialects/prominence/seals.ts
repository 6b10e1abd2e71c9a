// Secrets of submissions (the tokens of registries and storage providers) are stored sealed, with a key that lies in the
// data directory beside the store: a copy of the store alone does not tell them.

import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { JobDocument, TaskDocument } from './document.ts'

const cipher = 'aes-256-gcm'
const prefix = 'sealed:1:'
const nonceBytes = 12
const tagBytes = 16

export interface Seals {
  /** The document with its secrets sealed for their owner. */
  seal<T extends JobDocument>(document: T, owner: string): T
  /** A secret as it was given; throws where the key is another one, or the seal is another owner's. */
  open(text: string, owner: string): string
}

/** Seals made with a key of 32 bytes. */
export function openSeals(key: Uint8Array, random: (bytes: Uint8Array) => void): Seals {
  const sealText = (text: string, owner: string) => {
    const nonce = new Uint8Array(nonceBytes)
    random(nonce)
    const seal = createCipheriv(cipher, key, nonce).setAAD(Buffer.from(owner))
    const packed = [nonce, seal.update(text, 'utf8'), seal.final(), seal.getAuthTag()]
    return prefix + Buffer.concat(packed).toString('base64url')
  }
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
      // Of a submission that was stored before there were seals.
      if (!text.startsWith(prefix)) return text
      const packed = Buffer.from(text.slice(prefix.length), 'base64url')
      try {
        const seal = createDecipheriv(cipher, key, packed.subarray(0, nonceBytes))
        seal.setAAD(Buffer.from(owner)).setAuthTag(packed.subarray(-tagBytes))
        return seal.update(packed.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + seal.final('utf8')
      } catch {
        throw new Error(
          'a secret of the submission cannot be read: secrets/prominence-seals is another one now',
        )
      }
    },
  }
}
