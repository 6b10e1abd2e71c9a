// Types of the package dicom-character-set, which brings none.

declare module 'dicom-character-set' {
  export const characterSets: Readonly<Record<string, unknown>>
  export function convertBytes(
    specificCharacterSet: string,
    bytes: Uint8Array,
    options?: { vr?: string },
  ): string
}
