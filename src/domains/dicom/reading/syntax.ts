// Transfer syntaxes: how the bytes of a data set are laid out.

export const syntaxes = {
  implicitLittle: '1.2.840.10008.1.2',
  explicitLittle: '1.2.840.10008.1.2.1',
  deflated: '1.2.840.10008.1.2.1.99',
  explicitBig: '1.2.840.10008.1.2.2',
} as const

export interface Layout {
  readonly isExplicit: boolean
  readonly isLittleEndian: boolean
  readonly isDeflated: boolean
}

/** The layout of a syntax. All that are not known are explicit little endian, with their pixels encapsulated. */
export function layoutOf(uid: string): Layout {
  return {
    isExplicit: uid !== syntaxes.implicitLittle,
    isLittleEndian: uid !== syntaxes.explicitBig,
    isDeflated: uid === syntaxes.deflated || uid === '1.2.840.10008.1.2.4.95',
  }
}

/** The media type of one frame as it is stored. */
export function frameMediaType(uid: string): string {
  if (uid === '1.2.840.10008.1.2.4.50') return 'image/jpeg'
  if (/^1\.2\.840\.10008\.1\.2\.4\.9[01]$/.test(uid)) return 'image/jp2'
  return 'application/octet-stream'
}
