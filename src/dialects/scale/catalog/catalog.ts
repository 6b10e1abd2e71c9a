// The catalogue in memory, in front of its records. There are hundreds of types, asked for with every request, so all
// of them are kept parsed; every change is a record in the same commit as what it belongs to.

import type { Json, JsonObject } from '../../../core/json.ts'
import { readStoredDefinition, showDefinition } from '../../../domains/recipe/definition.ts'
import { buildGraph } from '../../../domains/recipe/graph.ts'
import { readConfiguration, storeConfiguration } from '../../../domains/recipe/seed/configuration.ts'
import { builtInErrors } from '../../../domains/recipe/seed/errors.ts'
import { readStoredManifest } from '../../../domains/recipe/seed/manifest.ts'
import { subRecipeNames, type Catalog as TypeLookup } from '../../../domains/recipe/validate-definition.ts'
import type { RecordChange, Records } from '../../../store/store.ts'
import type {
  ErrorEntry,
  JobType,
  JobTypeRevision,
  RecipeType,
  RecipeTypeRevision,
  Workspace,
} from './things.ts'

/** Everything that can be written down in the catalogue. */
export type Entry =
  | { readonly kind: 'job-type'; readonly value: JobType }
  | { readonly kind: 'job-type-revision'; readonly value: JobTypeRevision }
  | { readonly kind: 'recipe-type'; readonly value: RecipeType }
  | { readonly kind: 'recipe-type-revision'; readonly value: RecipeTypeRevision }
  | { readonly kind: 'workspace'; readonly value: Workspace }
  | { readonly kind: 'error'; readonly value: ErrorEntry }

/** Since when the built-in errors are there; they are older than any server. */
const builtInSince = Date.UTC(2015, 2, 11)

export class Catalog implements TypeLookup {
  readonly jobTypes = new Map<number, JobType>()
  readonly recipeTypes = new Map<number, RecipeType>()
  readonly workspaces = new Map<number, Workspace>()
  readonly errors = new Map<number, ErrorEntry>()
  readonly #jobTypeByKey = new Map<string, JobType>()
  readonly #recipeTypeByName = new Map<string, RecipeType>()
  /** By type and number, which are asked for with each end of a job: no key is put together for that. */
  readonly #jobTypeRevisions = new Map<number, Map<number, JobTypeRevision>>()
  readonly #recipeTypeRevisions = new Map<string, RecipeTypeRevision>()
  readonly #errorByKey = new Map<string, ErrorEntry>()

  constructor() {
    for (const [index, error] of builtInErrors.entries())
      this.keep({
        kind: 'error',
        value: {
          ...error,
          id: index + 1,
          jobTypeName: null,
          isBuiltIn: true,
          createdAt: builtInSince,
          modifiedAt: builtInSince,
        },
      })
  }

  /** How many errors every server knows; those of manifests are numbered after them. */
  get builtInErrorCount(): number {
    return builtInErrors.length
  }

  /** Fills an empty catalogue from the records. */
  async load(records: Records): Promise<void> {
    for (const kind of kinds) {
      let after: string | undefined
      do {
        const page = await records.list({ collection: `scale.${kind}`, limit: 1000, ...(after && { after }) })
        for (const record of page.items) this.keep(readEntry(kind, record.body as JsonObject))
        after = page.next
      } while (after)
    }
  }

  /** Takes an entry into memory. */
  keep(entry: Entry): void {
    switch (entry.kind) {
      case 'job-type':
        this.jobTypes.set(entry.value.id, entry.value)
        this.#jobTypeByKey.set(`${entry.value.name} ${entry.value.version}`, entry.value)
        break
      case 'job-type-revision':
        this.#keepJobTypeRevision(entry.value)
        break
      case 'recipe-type':
        this.recipeTypes.set(entry.value.id, entry.value)
        this.#recipeTypeByName.set(entry.value.name, entry.value)
        break
      case 'recipe-type-revision':
        this.#recipeTypeRevisions.set(`${entry.value.revision} ${entry.value.typeName}`, entry.value)
        break
      case 'workspace':
        this.workspaces.set(entry.value.id, entry.value)
        break
      case 'error':
        this.errors.set(entry.value.id, entry.value)
        this.#errorByKey.set(errorKey(entry.value.jobTypeName, entry.value.name), entry.value)
        break
    }
  }

  // ---- finding ----

  jobTypeNamed(name: string, version: string): JobType | undefined {
    return this.#jobTypeByKey.get(`${name} ${version}`)
  }

  recipeTypeNamed(name: string): RecipeType | undefined {
    return this.#recipeTypeByName.get(name)
  }

  workspaceNamed(name: string): Workspace | undefined {
    return [...this.workspaces.values()].find(workspace => workspace.name === name)
  }

  jobTypeRevision(typeId: number, revision: number): JobTypeRevision | undefined {
    return this.#jobTypeRevisions.get(typeId)?.get(revision)
  }

  recipeTypeRevision(name: string, revision: number): RecipeTypeRevision | undefined {
    return this.#recipeTypeRevisions.get(`${revision} ${name}`)
  }

  currentRevision(type: RecipeType): RecipeTypeRevision {
    return this.recipeTypeRevision(type.name, type.revision)!
  }

  /** All revisions of a job type, newest first. */
  jobTypeRevisionsOf(type: JobType): JobTypeRevision[] {
    const numbers = Array.from({ length: type.revision }, (_, index) => type.revision - index)
    return numbers.map(number => this.jobTypeRevision(type.id, number)).filter(found => found !== undefined)
  }

  /** All revisions of a recipe type, newest first. */
  recipeTypeRevisionsOf(type: RecipeType): RecipeTypeRevision[] {
    const numbers = Array.from({ length: type.revision }, (_, index) => type.revision - index)
    return numbers
      .map(number => this.recipeTypeRevision(type.name, number))
      .filter(found => found !== undefined)
  }

  /** An error by name: a job type's own, or a built-in one. */
  errorNamed(name: string, jobTypeName: string | null): ErrorEntry | undefined {
    return this.#errorByKey.get(errorKey(jobTypeName, name))
  }

  /** Recipe types whose current definition contains a job type. */
  recipeTypesWithJobType(name: string, version: string): RecipeType[] {
    return this.#recipeTypesWith(
      type => type.kind === 'job' && type.name === name && type.version === version,
    )
  }

  /** Recipe types whose current definition contains a recipe type. */
  recipeTypesWithRecipeType(name: string): RecipeType[] {
    return this.#recipeTypesWith(type => type.kind === 'recipe' && type.name === name)
  }

  #keepJobTypeRevision(revision: JobTypeRevision): void {
    const known = this.#jobTypeRevisions.get(revision.typeId)
    if (known) known.set(revision.revision, revision)
    else this.#jobTypeRevisions.set(revision.typeId, new Map([[revision.revision, revision]]))
  }

  #recipeTypesWith(matches: (type: RecipeTypeNode) => boolean): RecipeType[] {
    const found: RecipeType[] = []
    for (const type of this.recipeTypes.values())
      if ([...this.currentRevision(type).definition.nodes.values()].some(node => matches(node.type)))
        found.push(type)
    return found.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  // ---- what definitions are validated against ----

  jobType(name: string, version: string, revision: number): ReturnType<TypeLookup['jobType']> {
    const type = this.jobTypeNamed(name, version)
    if (!type) return 'no type'
    const found = this.jobTypeRevision(type.id, revision)
    return found ? { input: found.manifest.input, output: found.manifest.output } : 'no revision'
  }

  recipeType(name: string, revision: number): ReturnType<TypeLookup['recipeType']> {
    if (!this.recipeTypeNamed(name)) return 'no type'
    return this.recipeTypeRevision(name, revision)?.definition.input ?? 'no revision'
  }

  currentJobTypeRevision(name: string, version: string): number | undefined {
    return this.jobTypeNamed(name, version)?.revision
  }

  subRecipeTypes(name: string): readonly string[] {
    const type = this.recipeTypeNamed(name)
    return type ? subRecipeNames(this.currentRevision(type).definition) : []
  }
}

type RecipeTypeNode =
  RecipeTypeRevision['definition']['nodes'] extends ReadonlyMap<string, infer N>
    ? N extends { type: infer T }
      ? T
      : never
    : never

const kinds = [
  'job-type',
  'job-type-revision',
  'recipe-type',
  'recipe-type-revision',
  'workspace',
  'error',
] as const satisfies readonly Entry['kind'][]

/** The change that writes an entry down. */
export function recordOf(entry: Entry): RecordChange {
  return { put: { collection: `scale.${entry.kind}`, id: String(entry.value.id), body: bodyOf(entry) } }
}

function bodyOf(entry: Entry): Json {
  switch (entry.kind) {
    case 'job-type': {
      const { manifest, configuration, ...rest } = entry.value
      return { ...rest, manifest: manifest.document, configuration: storeConfiguration(configuration) }
    }
    case 'job-type-revision': {
      const { manifest, ...rest } = entry.value
      return { ...rest, manifest: manifest.document }
    }
    case 'recipe-type-revision': {
      const { definition, graph: _, ...rest } = entry.value
      return { ...rest, definition: showDefinition(definition) }
    }
    default:
      return { ...entry.value } as unknown as JsonObject
  }
}

function readEntry(kind: Entry['kind'], body: JsonObject): Entry {
  switch (kind) {
    case 'job-type': {
      const configuration = readConfiguration(body['configuration'] as JsonObject)
      if (!configuration.ok) throw new Error(`a stored job type configuration is broken: ${body['name']}`)
      const manifest = readStoredManifest(body['manifest'] as JsonObject)
      const value = { ...body, manifest, configuration: configuration.value } as unknown as JobType
      return { kind, value }
    }
    case 'job-type-revision': {
      const manifest = readStoredManifest(body['manifest'] as JsonObject)
      return { kind, value: { ...body, manifest } as unknown as JobTypeRevision }
    }
    case 'recipe-type-revision': {
      const definition = readStoredDefinition(body['definition'] as JsonObject)
      const built = buildGraph(definition)
      if (!('graph' in built)) throw new Error(`a stored recipe definition has no order: ${body['typeName']}`)
      return { kind, value: { ...body, definition, graph: built.graph } as unknown as RecipeTypeRevision }
    }
    default:
      return { kind, value: body } as unknown as Entry
  }
}

function errorKey(jobTypeName: string | null, name: string): string {
  return `${jobTypeName ?? ''} ${name}`
}
