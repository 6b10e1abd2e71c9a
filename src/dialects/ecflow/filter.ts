// `?filter=a.b[0].c`: picks a part of a JSON answer. Contract ecflow §2.6.

import { refuse } from '../../core/refusal.ts'

/** What a filter picks; `nothing` where an index is out of range: an answer without a body. */
export type Picked = { readonly value: unknown } | 'nothing'

/** Longer filters are refused: no answer is that deep. */
const stepsMax = 500

/** What a filter picks of an answer. */
export function pick(value: unknown, filter: string): Picked {
  let at = value
  for (const step of stepsOf(filter)) {
    if (typeof step === 'string') {
      const isObject = typeof at === 'object' && at !== null && !Array.isArray(at)
      at = isObject && Object.hasOwn(at as object, step) ? (at as Record<string, unknown>)[step] : null
      continue
    }
    if (!Array.isArray(at)) {
      at = null
      continue
    }
    if (step < 0 || step >= at.length) return 'nothing'
    at = at[step]
  }
  return { value: at }
}

/** Names and indexes in order; a leading dot is allowed. */
function stepsOf(filter: string): (string | number)[] {
  const steps: (string | number)[] = []
  for (const part of filter.split('.')) {
    const open = part.indexOf('[')
    const name = open < 0 ? part : part.slice(0, open)
    if (name !== '') steps.push(name)
    if (open < 0) continue
    for (const index of part.slice(open + 1).split('[')) {
      const number = /^\s*([+-]?\d+)[^\]]*\]$/.exec(index)
      if (!number)
        refuse('bad-field', `filter: expected a number between [ and ], not '${index.slice(0, 40)}'`, {
          field: 'filter',
        })
      steps.push(Number(number[1]))
    }
    if (steps.length > stepsMax) refuse('bad-field', 'filter: too many steps', { field: 'filter' })
  }
  return steps
}
