// Texts that are stored so that a copy of the store alone does not tell them: sealed with a key that lies beside the store,
// for one owner.

import { createCipheriv, createDecipheriv } from 'node:crypto'

const cipher = 'aes-256-gcm'
const prefix = 'sealed:1:'
const nonceBytes = 12
const tagBytes = 16

export interface TextSeal {
  seal(text: string, owner: string): string
  /**
   * The text as it was. One that is not sealed is given back: it was stored before there were seals. Undefined where the
   * key is another one, or the seal is another owner's.
   */
  open(text: string, owner: string): string | undefined
}

/** Seals made with a key of 32 bytes. */
export function makeTextSeal(key: Uint8Array, random: (bytes: Uint8Array) => void): TextSeal {
  return {
    seal(text, owner) {
      const nonce = new Uint8Array(nonceBytes)
      random(nonce)
      const seal = createCipheriv(cipher, key, nonce).setAAD(Buffer.from(owner))
      const packed = [nonce, seal.update(text, 'utf8'), seal.final(), seal.getAuthTag()]
      return prefix + Buffer.concat(packed).toString('base64url')
    },
    open(text, owner) {
      if (!text.startsWith(prefix)) return text
      const packed = Buffer.from(text.slice(prefix.length), 'base64url')
      try {
        const seal = createDecipheriv(cipher, key, packed.subarray(0, nonceBytes))
        seal.setAAD(Buffer.from(owner)).setAuthTag(packed.subarray(-tagBytes))
        return seal.update(packed.subarray(nonceBytes, -tagBytes), undefined, 'utf8') + seal.final('utf8')
      } catch {
        return undefined
      }
    },
  }
}
