// Splits a command into words as a POSIX shell would: quotes and backslashes, and nothing else. No shell runs it.

export type Words =
  | { readonly ok: true; readonly words: string[] }
  | { readonly ok: false; readonly fault: string }

/** The words of a command line. A backslash in double quotes escapes only a double quote or a backslash. */
export function splitWords(command: string): Words {
  const words: string[] = []
  let word: string | undefined
  let at = 0
  while (at < command.length) {
    const char = command[at]!
    if (char === ' ' || char === '\t' || char === '\n' || char === '\r') {
      if (word !== undefined) words.push(word)
      word = undefined
      at++
    } else if (char === '\\') {
      if (at + 1 === command.length) return { ok: false, fault: 'nothing follows the last backslash' }
      word = (word ?? '') + command[at + 1]!
      at += 2
    } else if (char === "'") {
      const end = command.indexOf("'", at + 1)
      if (end < 0) return { ok: false, fault: 'a single quote is not closed' }
      word = (word ?? '') + command.slice(at + 1, end)
      at = end + 1
    } else if (char === '"') {
      const quoted = readDoubleQuoted(command, at + 1)
      if (!quoted) return { ok: false, fault: 'a double quote is not closed' }
      word = (word ?? '') + quoted.text
      at = quoted.end
    } else {
      const plain = plainRun(command, at)
      word = (word ?? '') + command.slice(at, plain)
      at = plain
    }
  }
  if (word !== undefined) words.push(word)
  return { ok: true, words }
}

function readDoubleQuoted(command: string, from: number): { text: string; end: number } | undefined {
  let text = ''
  let at = from
  while (at < command.length) {
    const char = command[at]!
    if (char === '"') return { text, end: at + 1 }
    const next = command[at + 1]
    if (char === '\\' && (next === '"' || next === '\\')) {
      text += next
      at += 2
    } else {
      text += char
      at++
    }
  }
  return undefined
}

/** Where the run of characters that mean nothing special ends. */
function plainRun(command: string, from: number): number {
  let at = from + 1
  while (at < command.length && !/[\s\\'"]/.test(command[at]!)) at++
  return at
}
