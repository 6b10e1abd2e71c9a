// Data URIs: `data:<type>;base64,<bytes>`, with blanks and line ends inside the bytes forgiven.

import { refuse } from '../../../core/refusal.ts'

export interface DataUri {
  /** Lower case, without parameters. */
  readonly mediaType: string
  readonly bytes: Uint8Array
}

/** Undefined when the text is not a data URI at all; refused when its bytes are not base64. */
export function readDataUri(text: string): DataUri | undefined {
  const head = /^data:([^;,]*)(?:;[^,]*)?;base64,/i.exec(text.slice(0, 256))
  if (!head) return undefined
  const body = text.slice(head[0].length).replace(/[\s]+/g, '')
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(body)) {
    refuse('bad-field', 'The data URI is not valid base64', {
      field: 'Content',
      facts: { fault: 'bad-content' },
    })
  }
  return { mediaType: head[1]!.toLowerCase(), bytes: Buffer.from(body, 'base64') }
}
