// What a process job says it wants: checked once, when the job is submitted, with a sentence for each mistake.

import { z } from 'zod'
import type { Json } from '../../core/json.ts'

const noNul = (text: string) => !text.includes('\0')
const text = z.string().refine(noNul, 'must not contain a NUL character')
const count = z.int().positive()

const processSpec = z.strictObject({
  argv: z.array(text).min(1, 'must name a program').max(10_000),
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not the name of a variable'), text)
    .optional(),
  cwd: text.startsWith('/', 'must be an absolute path').optional(),
  stdin: z
    .string()
    .max(16 * 1024 * 1024, 'must not be longer than 16 MiB')
    .optional(),
  limits: z
    .strictObject({
      memoryBytes: count.min(1024 * 1024, 'must be at least 1 MiB').optional(),
      cpuSeconds: count.max(1_000_000_000).optional(),
      fileBytes: count.optional(),
      streamBytes: count.optional(),
    })
    .optional(),
  graceMs: z.int().min(0).max(3_600_000, 'must not be longer than an hour').optional(),
  leftovers: z.enum(['end', 'leave']).optional(),
})

/** A process job's spec; see README.md for what each field means. */
export type ProcessSpec = z.infer<typeof processSpec>

/** Reads a spec, or says in a sentence what is wrong with it. */
export function readProcessSpec(spec: Json): { spec: ProcessSpec } | { problem: string } {
  const result = processSpec.safeParse(spec)
  if (!result.success) {
    const issue = result.error.issues[0]!
    const where = issue.path.length === 0 ? 'the spec' : `spec.${issue.path.join('.')}`
    return { problem: `${where}: ${issue.message}` }
  }
  if (result.data.argv[0] === '') return { problem: 'spec.argv.0: must name a program' }
  return { spec: result.data }
}
