// The configuration inside an image: what to run, where, as whom. Read strictly, because it becomes an argument list.
import { z } from 'zod'
import { ImageError } from './image-error.ts'

/** How an image wants to be run. */
export interface ImageConfig {
  readonly entrypoint: readonly string[]
  readonly cmd: readonly string[]
  /** `NAME=VALUE` each. */
  readonly env: readonly string[]
  readonly workingDir: string
  /** As written: `user`, `uid`, `user:group`, `uid:gid`, or ''. */
  readonly user: string
}

/** A configuration document together with what it says about the layers. */
export interface ConfigDocument {
  readonly config: ImageConfig
  readonly architecture: string
  /** Digests of the uncompressed layers, lowest first. */
  readonly diffIds: readonly string[]
}

const text = z.string().refine(value => !value.includes('\0'), 'holds a NUL')
const texts = z
  .array(text)
  .nullish()
  .transform(list => list ?? [])
const word = text.nullish().transform(value => value ?? '')
const variable = text.refine(value => value.indexOf('=') > 0, 'is not NAME=VALUE')

const documentShape = z.object({
  architecture: word,
  config: z
    .object({
      Entrypoint: texts,
      Cmd: texts,
      Env: z
        .array(variable)
        .nullish()
        .transform(list => list ?? []),
      WorkingDir: word.refine(value => value === '' || value.startsWith('/'), 'is not an absolute path'),
      User: word,
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(z.string().regex(/^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/)) }),
})

/** What an image without a configuration has. */
export const emptyConfig: ImageConfig = { entrypoint: [], cmd: [], env: [], workingDir: '', user: '' }

/** Reads an OCI or Docker image configuration. */
export function readConfig(json: unknown): ConfigDocument {
  const parsed = documentShape.safeParse(json)
  if (!parsed.success) throw new ImageError('format', `the image configuration: ${firstIssue(parsed.error)}`)
  const { config, architecture, rootfs } = parsed.data
  return {
    config: {
      entrypoint: config?.Entrypoint ?? [],
      cmd: config?.Cmd ?? [],
      env: config?.Env ?? [],
      workingDir: config?.WorkingDir ?? '',
      user: config?.User ?? '',
    },
    architecture,
    diffIds: rootfs.diff_ids,
  }
}

/** The first complaint of a schema, with the field it is about. */
export function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0]
  return issue === undefined
    ? 'not as expected'
    : `${issue.path.join('.') || 'the document'}: ${issue.message}`
}
