// Writes the reference pages that are made from code: the life of a job and the catalogue of refusals.
// `node scripts/generate-pages.ts`; test/docs/generated.test.ts compares.

import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isFinal, isLive, type JobMove, jobStates, moves, nextState } from '../src/core/job-state.ts'
import { refusals } from '../src/core/refusal.ts'

const root = resolve(import.meta.dirname, '..')

/** Each page with its text as the code says it now. */
export const pages: Readonly<Record<string, () => string>> = {
  'docs/explanation/job-lifecycle.md': jobLifecycle,
  'docs/reference/errors.md': errors,
}

function jobLifecycle(): string {
  const names = Object.keys(moves) as JobMove[]
  const edges = names.flatMap(move =>
    jobStates.flatMap(from => {
      const to = nextState(from, move)
      return to === undefined ? [] : [`  ${from} --> ${to}: ${move}`]
    }),
  )
  const rows = names.map(
    move => `| ${move} | ${jobStates.map(from => nextState(from, move) ?? '').join(' | ')} |`,
  )
  return `# The life of a job

Made from \`src/core/job-state.ts\` by \`node scripts/generate-pages.ts\`. Live: ${jobStates.filter(isLive).join(', ')}. Final: ${jobStates.filter(isFinal).join(', ')}.
Beside the state stand four facts that would multiply it: \`held\` (may not start), \`stop\` (asked of a live attempt),
\`reason\` (why it ended badly) and \`exitCode\`.

\`\`\`mermaid
stateDiagram-v2
${edges.join('\n')}
\`\`\`

Where each move leads, from each state that allows it; an empty cell is illegal, and refused:

| move | ${jobStates.join(' | ')} |
|---|${jobStates.map(() => '---').join('|')}|
${rows.join('\n')}

\`succeeded\` has no way out: running something again is a new job.
`
}

function errors(): string {
  const rows = Object.entries(refusals).map(
    ([kind, { status, title }]) => `| \`${kind}\` | ${status} | ${title} |`,
  )
  return `# Refusals

Made from \`src/core/refusal.ts\` by \`node scripts/generate-pages.ts\`. The native API answers each as a problem document
(RFC 9457) with this status; every other dialect gives it a shape and status of its own.

| kind | status | title |
|---|---|---|
${rows.join('\n')}

\`type\` is \`urn:switchyard:refusal:KIND\`, \`detail\` a sentence, \`field\` the offending member where there is one.
`
}

if (import.meta.main) {
  for (const [file, text] of Object.entries(pages)) {
    const place = join(root, file)
    const now = text()
    let before = ''
    try {
      before = readFileSync(place, 'utf8')
    } catch {
      // It is written for the first time.
    }
    if (before !== now) writeFileSync(place, now)
  }
}
