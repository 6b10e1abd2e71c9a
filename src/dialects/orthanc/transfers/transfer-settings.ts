// Options of the transfers accelerator, below `Transfers`: contracts/orthanc.md §11.

import { isObject } from '../../../core/json.ts'

export interface TransferSettings {
  /** Buckets that travel at a time. */
  readonly threads: number
  readonly bucketBytes: number
  /** Transfers that are being pushed to us at a time. */
  readonly pushesMax: number
  /** How often a bucket is asked for again. */
  readonly retriesMax: number
  readonly connectMs: number
  readonly commitMs: number
}

/** The `Transfers` section of the configuration; throws on what makes no sense. */
export function readTransferSettings(value: unknown): TransferSettings {
  const given = value ?? {}
  if (!isObject(given)) throw new Error('The Orthanc option Transfers must be an object')
  const count = (name: string, usual: number, [min, max]: readonly [number, number]): number => {
    const number = given[name] ?? usual
    if (typeof number === 'number' && Number.isInteger(number) && number >= min && number <= max)
      return number
    throw new Error(`The Orthanc option Transfers.${name} must be a whole number from ${min} to ${max}`)
  }
  return {
    threads: count('Threads', 6, [1, 64]),
    bucketBytes: count('BucketSize', 4096, [1, 65_536]) * 1024,
    pushesMax: count('MaxPushTransactions', 4, [1, 1000]),
    retriesMax: count('MaxHttpRetries', 0, [0, 1000]),
    connectMs: count('PeerConnectivityTimeout', 2, [1, 3600]) * 1000,
    commitMs: count('PeerCommitTimeout', 600, [1, 86_400]) * 1000,
  }
}
