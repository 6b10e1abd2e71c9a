// A number that Python would call a float. JSON text tells 3 from 3.0, and JavaScript does not: where the difference
// must reach the output, a value is wrapped in this.

export class Float {
  readonly value: number
  constructor(value: number) {
    this.value = value
  }
}

/** The plain number of a number, wrapped or not; undefined for anything else. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  return value instanceof Float ? value.value : undefined
}

/** Whether Python would call this number a float. */
export function isFloat(value: unknown): boolean {
  return value instanceof Float || (typeof value === 'number' && !Number.isInteger(value))
}

/** A copy in which every wrapped number is a plain one: what tasks are given. */
export function unwrapFloats(value: unknown): unknown {
  if (value instanceof Float) return value.value
  if (Array.isArray(value)) return value.map(unwrapFloats)
  if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype) {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unwrapFloats(item)]))
  }
  return value
}

/** A number as Python's repr writes it: `1.0`, `1e-05`, `1e+16`; whole numbers that are not floats without a point. */
export function pythonNumber(value: number | Float): string {
  const number = value instanceof Float ? value.value : value
  if (Number.isInteger(number) && !(value instanceof Float)) {
    return Math.abs(number) < 1e21
      ? Object.is(number, -0)
        ? '0'
        : String(number)
      : BigInt(number).toString()
  }
  if (Number.isInteger(number) && Math.abs(number) < 1e16) return `${Object.is(number, -0) ? '-0' : number}.0`
  const text = String(number)
  const at = text.indexOf('e')
  const size = Math.abs(number)
  if (at !== -1) {
    const exponent = Number(text.slice(at + 1))
    const digits = String(Math.abs(exponent)).padStart(2, '0')
    return `${text.slice(0, at)}e${exponent < 0 ? '-' : '+'}${digits}`
  }
  if ((size !== 0 && size < 1e-4) || size >= 1e16) return scientific(number)
  return text
}

function scientific(number: number): string {
  const [head, exponent] = number.toExponential().split('e') as [string, string]
  return `${head}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`
}
