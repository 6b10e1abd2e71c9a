// DICOM over TLS: the original's options, and the keys and certificates that they name.

import { readFileSync } from 'node:fs'
import { createSecureContext, type SecureContextOptions } from 'node:tls'

/** One certificate for both roles, as the original has it. */
export interface TlsSettings {
  /** Whether our own port speaks TLS, and nothing else. */
  readonly serves: boolean
  /** Certificate, key and those that are trusted; undefined where none is configured. */
  readonly keys: TlsKeys | undefined
  /** Whether a peer must show a certificate that is trusted; otherwise any is taken, or none. */
  readonly checksPeers: boolean
}

export type TlsKeys = Pick<SecureContextOptions, 'cert' | 'key' | 'ca'>

type Read = (name: string) => unknown

/** Reads options and files. Throws an Error that names the option. */
export function readTlsSettings(read: Read): TlsSettings {
  const serves = read('DicomTlsEnabled')
  const checksPeers = read('DicomTlsRemoteCertificateRequired')
  if (typeof serves !== 'boolean') wrong('DicomTlsEnabled', 'must be true or false')
  if (typeof checksPeers !== 'boolean') wrong('DicomTlsRemoteCertificateRequired', 'must be true or false')
  const cert = fileOf(read, 'DicomTlsCertificate')
  const key = fileOf(read, 'DicomTlsPrivateKey')
  const ca = fileOf(read, 'DicomTlsTrustedCertificates')
  if ((cert === undefined) !== (key === undefined))
    wrong(cert ? 'DicomTlsPrivateKey' : 'DicomTlsCertificate', 'is needed where the other of both is given')
  if (serves && cert === undefined) wrong('DicomTlsCertificate', 'is needed where DicomTlsEnabled is true')
  if (cert !== undefined && checksPeers && ca === undefined)
    wrong('DicomTlsTrustedCertificates', 'is needed unless DicomTlsRemoteCertificateRequired is false')
  if (cert === undefined || key === undefined) return { serves, keys: undefined, checksPeers }
  const keys = { cert, key, ...(ca && { ca }) }
  try {
    createSecureContext(keys)
  } catch (error) {
    wrong('DicomTlsCertificate', `and its key cannot be used: ${(error as Error).message}`)
  }
  return { serves, keys, checksPeers }
}

function fileOf(read: Read, option: string): Buffer | undefined {
  const path = read(option)
  if (path === undefined || path === '') return undefined
  if (typeof path !== 'string') wrong(option, 'must name a file')
  try {
    return readFileSync(path)
  } catch (error) {
    wrong(option, `names a file that cannot be read: ${(error as Error).message}`)
  }
}

function wrong(option: string, why: string): never {
  throw new Error(`The Orthanc option ${option} ${why}`)
}
