// Puts values in the places of `$name` and `${name}` in a text, and prints numbers the way users of the original see them.

/** Replaces known names; `$$` becomes `$`; unknown names, and a `$` that names nothing, stay as they are. */
export function substitute(text: string, values: ReadonlyMap<string, string>): string {
  return text.replace(
    /\$(?:(\$)|([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})/g,
    (whole, dollar: string | undefined, bare: string | undefined, braced: string | undefined) =>
      dollar ?? values.get((bare ?? braced)!) ?? whole,
  )
}

/** Replaces known names such that a further substitution leaves what it gives as it is: `$$` stays `$$`. */
export function substituteForLater(text: string, values: ReadonlyMap<string, string>): string {
  const doubled = [...values].map(([name, value]) => [name, value.replaceAll('$', '$$$$')] as const)
  return substitute(text.replaceAll('$$', '$$$$$$$$'), new Map(doubled))
}

/** A factory's value as text: whole numbers without a point, others as the shortest decimal, as Python prints them. */
export function printValue(value: string | number | boolean): string {
  if (typeof value === 'string') return value
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (Number.isInteger(value)) return BigInt(value).toString()
  if (Math.abs(value) >= 1e-4) return String(value)
  const [mantissa, exponent] = value.toExponential().split('e-')
  return `${mantissa}e-${exponent!.padStart(2, '0')}`
}

/** A printed value as a description shows it: a number where the text is one. */
export function showValue(text: string): string | number {
  return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) && Number.isFinite(Number(text)) ? Number(text) : text
}
