// What the Scale tests work with: definitions of small recipes, and a server's own types, recipes and jobs by short names.

import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import { ask, type ScaleServer } from './scale-server.ts'

// biome-ignore lint/suspicious/noExplicitAny: answers are looked into member by member
export type Body = any

/** A node that runs version 1.0.0 of a job type. */
export const job = (
  name: string,
  parents: (string | { name: string; acceptance: boolean })[] = [],
  input: object = {},
): object => ({
  dependencies: parents.map(parent => (typeof parent === 'string' ? { name: parent } : parent)),
  input,
  node_type: { node_type: 'job', job_type_name: name, job_type_version: '1.0.0', job_type_revision: 1 },
})
/** A node that is a recipe of its own. */
export const sub = (name: string, parents: string[] = [], input: object = {}, revision = 1): object => ({
  dependencies: parents.map(parent => ({ name: parent })),
  input,
  node_type: { node_type: 'recipe', recipe_type_name: name, recipe_type_revision: revision },
})
/** A condition that says yes above five. */
export const gate = (input: object): object => ({
  dependencies: [],
  input,
  node_type: {
    node_type: 'condition',
    interface: { files: [], json: [{ name: 'n', type: 'integer', required: true }] },
    data_filter: { filters: [{ name: 'n', type: 'integer', condition: '>', values: [5] }] },
  },
})
export const number = { json: [{ name: 'n', type: 'integer' }] }
export const fromRecipe = (input: string): object => ({ type: 'recipe', input })

export const isComplete = (body: Body): boolean => body.is_completed
/** How the nodes of a recipe stand, by name. */
export const statuses = (body: Body): Record<string, string> =>
  Object.fromEntries(
    Object.entries(body.details.nodes as Body).map(([name, node]: [string, Body]) => [
      name,
      node.node_type.status ??
        (node.node_type.node_type === 'condition'
          ? `accepted ${node.node_type.is_accepted}`
          : `done ${node.node_type.is_completed}`),
    ]),
  )

/** What tests do with a server; it may be another one after a restart. */
export function workWith(server: () => ScaleServer) {
  const workspace = async (title: string): Promise<void> => {
    const host_path = join(server().data, title.toLowerCase())
    await ask(server(), 'POST', '/v6/workspaces/', {
      title,
      configuration: { broker: { type: 'host', host_path } },
    })
  }
  const jobType = async (name: string, face: object, more: object = {}): Promise<Body> => {
    const { configuration = {}, image = 'local/shell:1.0', version = '1.0.0', ...job } = more as Body
    const manifest = {
      seedVersion: '1.0.0',
      job: {
        name,
        jobVersion: version,
        packageVersion: '1.0.0',
        title: name,
        description: name,
        maintainer: { name: 'A', email: 'a' },
        timeout: 60,
        interface: face,
        ...job,
      },
    }
    const answer = await ask(server(), 'POST', '/v6/job-types/', {
      docker_image: image,
      manifest,
      configuration,
    })
    expect(answer.body).not.toHaveProperty('detail')
    return answer.body
  }
  const recipeType = async (title: string, nodes: object, input: object = {}): Promise<number> => {
    const answer = await ask(server(), 'POST', '/v6/recipe-types/', { title, definition: { input, nodes } })
    expect(answer.body).not.toHaveProperty('detail')
    return (answer.body as Body).id
  }
  const queue = async (typeId: number, input: object = {}): Promise<number> => {
    const answer = await ask(server(), 'POST', '/v6/recipes/', { recipe_type_id: typeId, input })
    expect(answer.status).toBe(201)
    return (answer.body as Body).id
  }
  const read = async (path: string): Promise<Body> => (await ask(server(), 'GET', path)).body
  const recipe = (id: number): Promise<Body> => read(`/v6/recipes/${id}/`)
  /** Reads until what was read holds; gives the last that was read when patience is over. */
  const untilRead = async (path: string, holds: (body: Body) => boolean): Promise<Body> => {
    const patience = Date.now() + 60_000
    for (;;) {
      const body = await read(path)
      if (holds(body) || Date.now() > patience) return body
      await sleep(30)
    }
  }
  const until = (id: number, holds: (body: Body) => boolean): Promise<Body> =>
    untilRead(`/v6/recipes/${id}/`, holds)
  const untilJob = (id: number, holds: (body: Body) => boolean): Promise<Body> =>
    untilRead(`/v6/jobs/${id}/`, holds)
  /** Types that most tests run: nothing, one that says its VALUE, one that fails until a file is there, one that sleeps. */
  const usualTypes = async (): Promise<void> => {
    await workspace('Raw')
    await workspace('Products')
    await jobType('noop', { command: 'true' })
    await jobType('say', {
      command: `printf '%s' '{"OUT":"'\${VALUE}'"}' > \${OUTPUT_DIR}/seed.outputs.json`,
      inputs: { json: [{ name: 'VALUE', type: 'string' }] },
      outputs: { json: [{ name: 'OUT', type: 'string' }] },
    })
    await jobType('fails-once', { command: `test -e ${join(server().data, 'mended')}` })
    await jobType('sleeper', { command: 'sleep 600' })
  }
  return { workspace, jobType, recipeType, queue, read, recipe, untilRead, until, untilJob, usualTypes }
}
