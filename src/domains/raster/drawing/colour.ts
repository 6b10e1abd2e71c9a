// Colours: reading and writing their texts, and the hue–saturation–value ramps between them.

/** Red, green, blue and opacity, 0 to 255. */
export type Rgba = readonly [number, number, number, number]

/** `#RGB`, `#RRGGBB` or `#RRGGBBAA`, the # optional; throws for anything else. */
export function readColour(value: unknown): Rgba {
  const text =
    typeof value === 'string' ? /^#?([0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8})$/i.exec(value)?.[1] : undefined
  if (text === undefined) throw new Error(`${String(value)} is no colour`)
  const long = text.length === 3 ? [...text].map(digit => digit + digit).join('') : text
  const part = (at: number): number => Number.parseInt(long.slice(at, at + 2), 16)
  return [part(0), part(2), part(4), long.length === 8 ? part(6) : 255]
}

/** The short form where there is one, in capitals: `#F00`. */
export function writeColour([r, g, b, a]: Rgba): string {
  const parts = (a === 255 ? [r, g, b] : [r, g, b, a]).map(part => part.toString(16).padStart(2, '0'))
  const isShort = parts.length === 3 && parts.every(part => part[0] === part[1])
  return `#${(isShort ? parts.map(part => part[0]) : parts).join('').toUpperCase()}`
}

export type Hsv = readonly [h: number, s: number, v: number]

/** Each from 0 to 1. Where two parts are greatest, blue wins over green over red. */
export function toHsv([red, green, blue]: Rgba): Hsv {
  const [r, g, b] = [red / 255, green / 255, blue / 255]
  const max = Math.max(r, g, b)
  const span = max - Math.min(r, g, b)
  if (span === 0) return [0, 0, max]
  const raw = b === max ? 4 + (r - g) / span : g === max ? 2 + (b - r) / span : (g - b) / span
  const hue = raw / 6
  return [hue < 0 ? hue + 1 : hue, span / max, max]
}

/** Back to whole numbers, cut off. */
export function fromHsv([h, s, v]: Hsv): [number, number, number] {
  const sector = Math.floor(h * 6)
  const rest = h * 6 - sector
  const [p, q, t] = [v * (1 - s), v * (1 - s * rest), v * (1 - s * (1 - rest))]
  const parts = [
    [v, t, p],
    [q, v, p],
    [p, v, t],
    [p, q, v],
    [t, p, v],
    [v, p, q],
  ][((sector % 6) + 6) % 6]!
  return parts.map(part => Math.trunc(part * 255)) as [number, number, number]
}
