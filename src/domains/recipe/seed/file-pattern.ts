// File name patterns of outputs: `*`, `?`, `[…]` within one path segment, `**` across segments. Compiled to a matcher
// that cannot be made slow by a hostile pattern.

/** Matches relative paths with `/` between segments. */
export type PathMatcher = (path: string) => boolean

type Token = { readonly any: true } | { readonly matches: (character: string) => boolean }

/** Compiles a pattern. Names that begin with a dot match only where the pattern says the dot. */
export function compilePattern(pattern: string): PathMatcher {
  const segments = pattern.split('/').filter(segment => segment !== '' && segment !== '.')
  const compiled = segments.map(segment => (segment === '**' ? '**' : compileSegment(segment)))
  return path => matchSegments(compiled, path.split('/'))
}

type Segment = '**' | ((name: string) => boolean)

// The classic two-pointer walk: after a mismatch only the last `**` is tried one further, so the cost is the product of
// the lengths and never more.
function matchSegments(pattern: readonly Segment[], names: readonly string[]): boolean {
  return walk(
    pattern.length,
    names.length,
    at => pattern[at] === '**',
    (at, name) => {
      const segment = pattern[at]
      return typeof segment === 'function' && segment(names[name]!)
    },
  )
}

function compileSegment(segment: string): (name: string) => boolean {
  const tokens = tokenize(segment)
  const saysDot = segment.startsWith('.')
  return name => {
    if (name.startsWith('.') && !saysDot) return false
    const characters = [...name]
    return walk(
      tokens.length,
      characters.length,
      at => 'any' in tokens[at]!,
      (at, position) => {
        const token = tokens[at]!
        return 'matches' in token && token.matches(characters[position]!)
      },
    )
  }
}

function walk(
  patternLength: number,
  subjectLength: number,
  isStar: (at: number) => boolean,
  matches: (at: number, position: number) => boolean,
): boolean {
  let at = 0
  let position = 0
  let star = -1
  let resumeAt = 0
  while (position < subjectLength) {
    if (at < patternLength && isStar(at)) {
      star = at++
      resumeAt = position
    } else if (at < patternLength && matches(at, position)) {
      at++
      position++
    } else if (star >= 0) {
      at = star + 1
      position = ++resumeAt
    } else return false
  }
  while (at < patternLength && isStar(at)) at++
  return at === patternLength
}

function tokenize(segment: string): Token[] {
  const characters = [...segment]
  const tokens: Token[] = []
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!
    if (character === '*') tokens.push({ any: true })
    else if (character === '?') tokens.push({ matches: () => true })
    else {
      const end = character === '[' ? characters.indexOf(']', at + 2) : -1
      if (end > 0) {
        tokens.push({ matches: readClass(characters.slice(at + 1, end)) })
        at = end
      } else tokens.push({ matches: other => other === character })
    }
  }
  return tokens
}

function readClass(content: readonly string[]): (character: string) => boolean {
  const isNegated = content[0] === '!' || content[0] === '^'
  const members = isNegated ? content.slice(1) : content
  const ranges: [string, string][] = []
  for (let at = 0; at < members.length; at++) {
    if (members[at + 1] === '-' && at + 2 < members.length) {
      ranges.push([members[at]!, members[at + 2]!])
      at += 2
    } else ranges.push([members[at]!, members[at]!])
  }
  return character => ranges.some(([low, high]) => character >= low && character <= high) !== isNegated
}
