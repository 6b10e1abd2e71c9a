// Names of folders and files in archives, as the original makes them: contracts/orthanc.md §3.4.

export interface NameOptions {
  /** Keeps letters beyond ASCII (the original drops them). */
  readonly isUtf8: boolean
}

/** A folder name from two values, cleaned; `otherwise` when nothing is left. */
export function folderName(
  values: readonly (string | undefined)[],
  otherwise: string,
  options: NameOptions,
): string {
  const joined = values.map(value => value ?? '').join(' ')
  let name = ''
  for (const char of joined) {
    const kept = char === '^' ? ' ' : char
    if (kept === ' ') {
      if (!name.endsWith(' ')) name += kept
    } else if (/[A-Za-z0-9._]/.test(kept) || (options.isUtf8 && /[\p{L}\p{N}]/u.test(kept))) name += kept
  }
  name = name.trim()
  // A name of dots alone would climb out of its folder.
  return name === '' || /^\.+$/.test(name) ? otherwise : name
}

/** Tells names in one folder apart: the second gets `-2`, the third `-3`. */
export function makeUnique(): (name: string) => string {
  const counts = new Map<string, number>()
  return name => {
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    return count === 1 ? name : `${name}-${count}`
  }
}

/** The name of the n-th file of a series, from 0: `CT000000.dcm`, `U0000000.dcm`, `00000000.dcm`. */
export function fileName(modality: string | undefined, index: number): string {
  const letters = (modality ?? '')
    .trim()
    .toUpperCase()
    .replace(/[^A-Z0-9]/g, '')
    .slice(0, 2)
  return `${letters}${String(index).padStart(8 - letters.length, '0')}.dcm`
}
