// What a container job says: 1..n tasks, run one after the other in one scratch directory.
import { z } from 'zod'
import type { Json } from '../../core/json.ts'
import { stageShape } from './stage/stage-spec.ts'

const text = z.string().refine(value => !value.includes('\0'), 'holds a NUL')
const variables = z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]*$/, 'is no variable name'), text)
const absolute = text.regex(/^\//, 'is not an absolute path').max(1024)
/** A path inside the scratch directory. */
const inner = text
  .min(1)
  .max(1024)
  .refine(path => !path.startsWith('/') && !path.split('/').includes('..'), 'leaves the scratch directory')

/** Not the root, nothing that climbs, and nothing of what every task has anyway. */
function isMountable(path: string): boolean {
  const names = path.split('/').filter(name => name !== '' && name !== '.')
  if (names.length === 0 || names.includes('..')) return false
  if (['proc', 'dev', 'sys', 'tmp'].includes(names[0] ?? '')) return false
  return !(names[0] === 'home' && (names.length === 1 || names[1] === 'user'))
}

function isPlainName(name: string): boolean {
  return !name.includes('/') && name !== '.'
}

const mountShape = z.strictObject({
  /** A directory in the scratch directory, by its name. */
  from: inner.refine(isPlainName, 'is not the name of a directory'),
  /** Where else it is seen in the container. */
  to: absolute.refine(isMountable, 'is no place for a mount'),
  readOnly: z.boolean().default(false),
})

const taskShape = z.strictObject({
  image: text.min(1).max(512),
  /** What to run, word by word; without it, what the image says. */
  argv: z.array(text).max(10_000).nullish(),
  /** `image`: the image's entry point comes first; `none`: it is left out. */
  entrypoint: z.enum(['image', 'none']).default('image'),
  env: variables.default({}),
  /** Absolute, or below the scratch directory; the scratch directory itself unless said. */
  workdir: text.max(1024).nullish(),
  mounts: z.array(mountShape).max(100).default([]),
  /** Whom it runs as; the image's user, or 1000:1000 where it names none. */
  user: z
    .strictObject({
      uid: z.int().min(0).max(0xffff_fffe),
      gid: z.int().min(0).max(0xffff_fffe),
    })
    .nullish(),
  /** A stored blob with the image, in place of one by name. */
  imageBlob: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'is no SHA-256')
    .nullish(),
  /** The SHA-256 that the image must have: of its file, of its configuration, or of its manifest. */
  imageSha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'is no SHA-256')
    .nullish(),
  /**
   * A file of the scratch directory, by its name: both streams go to it as well, and stderr to stdout. Not in a
   * directory, because a task could put a link in the place of that and lead the next one's mount astray.
   */
  mergeInto: inner.refine(isPlainName, 'is not the name of a file').nullish(),
  /** How to get at the image in its registry. */
  credential: z.strictObject({ username: text.max(1024), token: text.max(65_536) }).nullish(),
  /** Runs in the background beside the ordinary tasks, and ends with the last of them. */
  sidecar: z.boolean().default(false),
  /**
   * Of a job with several nodes: `first` runs on the first one, with one node's share; `each` runs a copy on every
   * node at the same time; `together` runs once, with the shares of all of them (mpirun starts the rest).
   */
  onNodes: z.enum(['first', 'each', 'together']).default('first'),
})

const specShape = z
  .strictObject({
    tasks: z.array(taskShape).min(1).max(1000),
    /** `rootfs`, `podman` or `docker`; the executor's own choice unless said. */
    driver: z.enum(['rootfs', 'podman', 'docker']).nullish(),
    network: z.boolean().default(true),
    /** Parts of this machine that count as nodes: each has an equal share of what the job needs, and its own /tmp. */
    nodes: z.int().min(1).max(1000).default(1),
    /** The variable in which a task finds the number of its node, from 0. */
    nodeVariable: z
      .string()
      .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is no variable name')
      .nullish(),
    /** Variables of all tasks; a task's own come first and are overridden by these. */
    env: variables.default({}),
    /** Files put into the scratch directory before the first task. */
    files: z
      .array(
        z.strictObject({
          path: inner,
          content: z.base64().max(64 * 1024 ** 2),
          executable: z.boolean().default(false),
        }),
      )
      .max(1000)
      .default([]),
    /** Folders of this machine that the operator has declared for jobs: by name, or by a path within one of them. */
    volumes: z
      .array(
        z
          .strictObject({
            name: text.min(1).max(256).optional(),
            path: absolute.optional(),
            to: absolute,
            below: inner.optional(),
            readOnly: z.boolean().default(false),
          })
          .refine(volume => (volume.name === undefined) !== (volume.path === undefined), {
            message: 'needs either name or path',
          }),
      )
      .max(20)
      .default([]),
    /** What is brought in before the first task, and taken out after the last one. */
    stage: stageShape.prefault({}),
    /** Commands may be run beside the tasks while they run. */
    inside: z.boolean().default(false),
    /** From the gentle stop to the end by force. */
    graceMs: z.int().min(0).max(3_600_000).default(10_000),
    /** How often a failing task is run again. */
    taskRetries: z.int().min(0).max(100).default(0),
    /** Goes on with the next task after a failure. */
    ignoreTaskFailures: z.boolean().default(false),
    /** The job succeeds even when tasks fail. */
    succeedOnTaskFailure: z.boolean().default(false),
  })
  .refine(spec => spec.tasks.some(task => !task.sidecar), { message: 'only sidecars', path: ['tasks'] })

/** A container job, every default filled in. */
export type ContainerSpec = z.infer<typeof specShape>
/** One task of it. */
export type TaskSpec = z.infer<typeof taskShape>

/** Reads a spec; the text says what is wrong with it, by field. */
export function readSpec(json: Json): { spec: ContainerSpec } | { text: string } {
  const parsed = specShape.safeParse(json)
  if (parsed.success) return { spec: parsed.data }
  const issue = parsed.error.issues[0]
  return { text: `${issue?.path.join('.') || 'spec'}: ${issue?.message ?? 'is not acceptable'}` }
}
