// JSON text made piece by piece: trees are too large to be built as objects first.

const needsEscape = /["\\\x00-\x1f\ud800-\udfff]/

/** A JSON string; the common case costs no escaping. */
export function quote(text: string): string {
  return needsEscape.test(text) ? JSON.stringify(text) : `"${text}"`
}
