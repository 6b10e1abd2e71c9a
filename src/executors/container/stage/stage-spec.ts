// What a container job brings in before its first task and takes out after its last one.
import { z } from 'zod'

const text = z.string().refine(value => !value.includes('\0'), 'holds a NUL')
const hash = z.string().regex(/^[0-9a-f]{64}$/, 'is no SHA-256')
const inner = text
  .min(1)
  .max(4096)
  .refine(path => !path.startsWith('/') && !path.split('/').includes('..'), 'leaves the scratch directory')

const fetchShape = z
  .strictObject({
    /** From the web, or … */
    url: text.max(8192).optional(),
    /** … a stored blob; an empty text means one that is not there any more. */
    blob: z.union([hash, z.literal('')]).optional(),
    /** What it is called in the scratch directory; the last part of the URL's path unless said. */
    name: inner.optional(),
    executable: z.boolean().default(false),
    /** Archives are unpacked where they lie, and removed. */
    unpack: z.boolean().default(false),
  })
  .refine(({ url, blob }) => (url === undefined) !== (blob === undefined), 'needs either a url or a blob')

const collectShape = z.strictObject({
  /** The name of the job's output. */
  output: text.min(1).max(8192),
  /** A path in the scratch directory; a pattern means its first match. */
  path: inner,
  /** A file as it is, or a directory as a gzipped tar. */
  as: z.enum(['file', 'tgz']).default('file'),
})

/** The part of a container job that moves files. */
export const stageShape = z.strictObject({
  fetch: z.array(fetchShape).max(10_000).default([]),
  collect: z.array(collectShape).max(10_000).default([]),
})

export type StageSpec = z.infer<typeof stageShape>
export type FetchItem = StageSpec['fetch'][number]
export type CollectItem = StageSpec['collect'][number]
