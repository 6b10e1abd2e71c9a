// Names made from titles, as they stand in paths: lower case, letters, digits and hyphens.

const lengthMax = 30

/** The slug of a title. */
export function slugOf(title: string): string {
  const plain = title.normalize('NFKD').toLowerCase()
  return plain
    .replace(/[^a-z0-9\s_-]/g, '')
    .trim()
    .replace(/[\s_-]+/g, '-')
    .slice(0, lengthMax)
}
