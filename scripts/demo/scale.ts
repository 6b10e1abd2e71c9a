// Scale: three job types, a recipe with a sub-recipe over a real file, a new revision and its diff, and a reprocess that
// runs only what the diff asks for.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Act, ask, type Row, type Stage, until } from './act.ts'

interface Recipe {
  readonly id: number
  readonly is_completed: boolean
  readonly superseded_by_recipe: { readonly id: number } | null
  readonly details: { readonly nodes: Record<string, { node_type: { job_id?: number; recipe_id?: number } }> }
}

export const scale: Act = {
  title: 'Scale',
  async play(stage) {
    const fileId = await bringFile(stage)
    await createTypes(stage)
    const recipeTypeId = await createRecipeTypes(stage)
    const first = await ask(stage, '/v6/recipes/', {
      body: { recipe_type_id: recipeTypeId, input: { files: { text: [fileId] } } },
    })
    const old = await completed(stage, (first as Recipe).id)
    await ask(stage, '/v6/recipe-types/report/', { method: 'PATCH', body: { definition: report('shout') } })
    const diff = (await ask(stage, '/v6/recipe-types/report/revisions/1/diff/2/')) as {
      nodes: Record<string, { status: string }>
    }
    await ask(stage, `/v6/recipes/${old.id}/reprocess/`, { body: { forced_nodes: { all: false } } })
    const { superseded_by_recipe } = await recipe(stage, old.id)
    const made = await completed(stage, superseded_by_recipe!.id)
    return [await rowOfRecipe(stage, old), await rowOfReprocess(stage, { old, made, diff })]
  },
}

const manifest = (name: string, command: string, face: object): object => ({
  seedVersion: '1.0.0',
  job: {
    name,
    jobVersion: '1.0.0',
    packageVersion: '1.0.0',
    title: name,
    description: `Demo: ${name}`,
    maintainer: { name: 'Switchyard', email: 'none' },
    timeout: 60,
    interface: { command, ...face },
  },
})
const value = (name: string, type: string): object => ({ json: [{ name, type }] })
const job = (name: string, parents: string[], input: object): object => ({
  dependencies: parents.map(parent => ({ name: parent })),
  input,
  node_type: { node_type: 'job', job_type_name: name, job_type_version: '1.0.0', job_type_revision: 1 },
})
const from = (node: string, output: string): object => ({ type: 'dependency', node, output })
const given = (input: string): object => ({ type: 'recipe', input })

/** The recipe: counts lines in a sub-recipe's neighbour, then says the count, quietly or loudly. */
function report(speaker: string): object {
  return {
    input: { files: [{ name: 'text', media_types: ['text/plain'] }] },
    nodes: {
      count: job('count-lines', [], { IN_FILE: given('text') }),
      say: job(speaker, ['count'], { N: from('count', 'LINES') }),
      again: {
        dependencies: [],
        input: { text: given('text') },
        node_type: { node_type: 'recipe', recipe_type_name: 'counting', recipe_type_revision: 1 },
      },
    },
  }
}

async function bringFile(stage: Stage): Promise<number> {
  const folder = join(stage.workDir, 'scale')
  mkdirSync(join(folder, 'raw'), { recursive: true })
  mkdirSync(join(folder, 'products'), { recursive: true })
  writeFileSync(join(folder, 'raw/poem.txt'), 'one line\nanother line\na third\n')
  for (const title of ['Raw', 'Products'])
    await ask(stage, '/v6/workspaces/', {
      body: {
        title,
        configuration: { broker: { type: 'host', host_path: join(folder, title.toLowerCase()) } },
      },
    })
  const configuration = {
    workspace: 'raw',
    scanner: { type: 'dir' },
    files_to_ingest: [{ filename_regex: '.*\\.txt', data_types: ['poem'] }],
  }
  const { id } = (await ask(stage, '/v6/scans/', { body: { title: 'Poems', configuration } })) as {
    id: number
  }
  await ask(stage, `/v6/scans/${id}/process/`, { body: { ingest: true } })
  const found = await until(
    async () => (await ask(stage, '/v6/files/?file_name=poem.txt')) as { results: { id: number }[] },
    it => it.results.length > 0,
  )
  return found.results[0]!.id
}

async function createTypes(stage: Stage): Promise<void> {
  const outputs = '$' + '{OUTPUT_DIR}/seed.outputs.json'
  const countLines = `printf '{"LINES":%d}' $(wc -l < $IN_FILE) > ${outputs}`
  const types = [
    manifest('count-lines', countLines, {
      inputs: { files: [{ name: 'IN_FILE', mediaTypes: ['text/plain'] }] },
      outputs: value('LINES', 'integer'),
    }),
    manifest('say', 'echo $N lines', { inputs: value('N', 'integer') }),
    manifest('shout', 'echo $N LINES!', { inputs: value('N', 'integer') }),
  ]
  for (const type of types)
    await ask(stage, '/v6/job-types/', {
      body: { docker_image: 'local/shell:1.0', manifest: type, configuration: {} },
    })
}

async function createRecipeTypes(stage: Stage): Promise<number> {
  const counting = {
    input: { files: [{ name: 'text', media_types: ['text/plain'] }] },
    nodes: { count: job('count-lines', [], { IN_FILE: given('text') }) },
  }
  await ask(stage, '/v6/recipe-types/', { body: { title: 'Counting', definition: counting } })
  const made = await ask(stage, '/v6/recipe-types/', { body: { title: 'Report', definition: report('say') } })
  return (made as { id: number }).id
}

async function recipe(stage: Stage, id: number): Promise<Recipe> {
  return (await ask(stage, `/v6/recipes/${id}/`)) as Recipe
}

function completed(stage: Stage, id: number): Promise<Recipe> {
  return until(
    () => recipe(stage, id),
    it => it.is_completed,
  )
}

async function said(stage: Stage, { details }: Recipe): Promise<string> {
  const id = details.nodes['say']!.node_type.job_id
  const { execution } = (await ask(stage, `/v6/jobs/${id}/`)) as { execution: { id: number } }
  const { hits } = (await ask(stage, `/v6/job-executions/${execution.id}/logs/stdout/`)) as {
    hits: { hits: { _source: { message: string } }[] }
  }
  return hits.hits.map(hit => hit._source.message).join(' ')
}

async function rowOfRecipe(stage: Stage, old: Recipe): Promise<Row> {
  return {
    dialect: 'Scale',
    what: 'a recipe with a sub-recipe over a file',
    state: 'COMPLETED',
    result: await said(stage, old),
    address: `/v6/recipes/${old.id}/`,
  }
}

async function rowOfReprocess(
  stage: Stage,
  { old, made, diff }: { old: Recipe; made: Recipe; diff: { nodes: Record<string, { status: string }> } },
): Promise<Row> {
  const changed = Object.keys(diff.nodes).filter(name => diff.nodes[name]!.status !== 'UNCHANGED')
  const ran = Object.keys(made.details.nodes).filter(name => {
    const [before, after] = [old.details.nodes[name]?.node_type, made.details.nodes[name]!.node_type]
    return before?.job_id !== after.job_id || before?.recipe_id !== after.recipe_id
  })
  return {
    dialect: 'Scale',
    what: `a new revision (changed: ${changed.join(', ')}), reprocessed: only ${ran.join(', ')} ran`,
    state: 'COMPLETED',
    result: await said(stage, made),
    address: '/v6/recipe-types/report/revisions/1/diff/2/',
  }
}
