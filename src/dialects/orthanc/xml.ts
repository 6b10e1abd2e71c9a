// JSON answers as XML, for clients that accept only that: members become elements, items of arrays <item>.

const depthMax = 1000

/** A JSON value as XML, one element a member. */
export function toXml(value: unknown): string {
  return `<?xml version="1.0" encoding="utf-8"?>\n<root>${inner(value, 1)}</root>\n`
}

function inner(value: unknown, depth: number): string {
  if (depth > depthMax || value === null || value === undefined) return ''
  const indent = `\n${'  '.repeat(depth)}`
  const end = `\n${'  '.repeat(depth - 1)}`
  if (Array.isArray(value)) {
    if (value.length === 0) return ''
    return value.map(item => `${indent}<item>${inner(item, depth + 1)}</item>`).join('') + end
  }
  if (typeof value === 'object') {
    // As the original orders the members of every answer.
    const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    if (members.length === 0) return ''
    return members.map(([name, item]) => `${indent}${element(name, inner(item, depth + 1))}`).join('') + end
  }
  return escapeText(String(value))
}

/** Names that XML does not allow are told by an attribute. */
function element(name: string, content: string): string {
  if (/^[A-Za-z_][\w.-]*$/.test(name)) return `<${name}>${content}</${name}>`
  return `<item name="${escapeText(name)}">${content}</item>`
}

function escapeText(text: string): string {
  return text
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
    .replace(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, '')
}
