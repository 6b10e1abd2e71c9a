// The form in which texts are compared: upper case, composed, without surrounding blanks. Accents stay.

/** Equal texts by this measure are the same to a search that ignores case. */
export function normalise(text: string): string {
  return text.normalize('NFC').trim().toUpperCase()
}
