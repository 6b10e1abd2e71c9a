// Names of nodes, variables, limits, events, meters, labels and queues; and integers as the language writes them.

/** Letters, digits, underscore and dot, not beginning with a dot. */
export function isName(text: string): boolean {
  const { length } = text
  if (length === 0) return false
  for (let i = 0; i < length; i++) {
    const char = text.charCodeAt(i)
    const isWord =
      (char >= 97 && char <= 122) || (char >= 65 && char <= 90) || (char >= 48 && char <= 57) || char === 95
    if (!isWord && (char !== 46 || i === 0)) return false
  }
  return true
}

/** The sentence used wherever a name is refused. */
export const nameRule = 'a name of letters, digits, underscores and dots, not beginning with a dot'

/** A decimal integer of 32 bits; undefined for anything else. */
export function readInteger(text: string): number | undefined {
  const { length } = text
  const first = text.charCodeAt(0)
  const from = first === 43 || first === 45 ? 1 : 0
  if (length === from || length > 11) return undefined
  let value = 0
  for (let i = from; i < length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return undefined
    value = value * 10 + digit
  }
  // Not -0: `-0` is zero.
  if (first === 45 && value !== 0) value = -value
  return value >= -2147483648 && value <= 2147483647 ? value : undefined
}

/** Drops one pair of outer quotes. */
export function unquote(text: string): string {
  const first = text.charCodeAt(0)
  if (text.length >= 2 && (first === 34 || first === 39) && text.charCodeAt(text.length - 1) === first) {
    return text.slice(1, -1)
  }
  return text
}
