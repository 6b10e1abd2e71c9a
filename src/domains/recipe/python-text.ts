// Writes values the way the original server's language prints them, because its error sentences quote values so
// (`'a' is not of type 'integer'`, `['nope']`), and clients search for these quotes.

const textLengthMax = 200
const depthMax = 4

/** A value as quoted in a sentence; long values are cut, deep ones abbreviated. */
export function pythonText(value: unknown): string {
  const text = write(value, 0)
  return text.length > textLengthMax ? `${text.slice(0, textLengthMax)}...` : text
}

/** A list of names as quoted in a sentence, never cut: these lists are the message. */
export function pythonNames(names: readonly string[]): string {
  return `[${names.map(quote).join(', ')}]`
}

/** A floating number, which always shows a fraction: `1` is `1.0`. */
export function pythonFloat(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value)
}

function write(value: unknown, depth: number): string {
  if (value === null || value === undefined) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (typeof value === 'string')
    return quote(value.length > textLengthMax ? value.slice(0, textLengthMax) : value)
  if (typeof value !== 'object') return String(value)
  if (depth >= depthMax) return Array.isArray(value) ? '[...]' : '{...}'
  // Twenty entries already exceed what is shown; more would only cost time.
  if (Array.isArray(value))
    return `[${value
      .slice(0, 20)
      .map(item => write(item, depth + 1))
      .join(', ')}]`
  const entries = Object.entries(value).slice(0, 20)
  return `{${entries.map(([name, item]) => `${quote(name)}: ${write(item, depth + 1)}`).join(', ')}}`
}

function quote(text: string): string {
  const escaped = text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', '\\n')
    .replaceAll('\t', '\\t')
    .replaceAll('\r', '\\r')
  return escaped.includes("'") && !escaped.includes('"')
    ? `"${escaped}"`
    : `'${escaped.replaceAll("'", "\\'")}'`
}
