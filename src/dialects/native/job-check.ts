// What makes a submitted job one that this server can take, beyond its shape: its executor is here, its spec is one that
// can run, its pool was declared and can hold it. Refusals name the member that is wrong by its whole path.

import type { JobDraft } from '../../core/job.ts'
import { refuse } from '../../core/refusal.ts'
import type { Engine } from '../../engine/engine.ts'

/** What tells whether this server has what a job asks for. */
export type Places = Pick<Engine, 'executors' | 'pools'>

/**
 * Refuses an executor or a pool that this server does not have. `path` leads to the job, and ends in a dot. The engine
 * takes any pool, but one that nobody declared has no limits and is kept for ever: a slip in its name would start
 * everything at once.
 */
export function checkPlace(
  { executors, pools }: Places,
  job: { readonly executor: string; readonly pool?: string | undefined },
  path = '',
): void {
  if (!executors.has(job.executor)) unknown(`${path}executor`, job.executor, executors.keys())
  const { pool } = job
  if (pool !== undefined && pool !== 'default' && !Object.hasOwn(pools, pool))
    unknown(`${path}pool`, pool, new Set(['default', ...Object.keys(pools)]))
}

function unknown(field: string, name: string, known: Iterable<string>): never {
  const what = field.slice(field.lastIndexOf('.') + 1)
  return refuse(
    'bad-field',
    `${field}: there is no ${what} called ${name} here; known: ${[...known].join(', ')}`,
    {
      field,
    },
  )
}

/** All of a batch is checked before any of it is done. */
export function checkBatch(engine: Engine, drafts: readonly JobDraft[]): void {
  for (const [at, draft] of drafts.entries()) {
    const path = `jobs.${at}.`
    checkPlace(engine, draft, path)
    const trouble = engine.executors.get(draft.executor)!.check(draft.spec, draft.dialect)
    if (trouble !== undefined) refuse('bad-field', `${path}spec: ${trouble}`, { field: `${path}spec` })
    const unfit = draft.needs === undefined ? undefined : engine.fits(draft.pool ?? 'default', draft.needs)
    if (unfit !== undefined) refuse('cannot-fit', `${path}needs: ${unfit.text}`, { field: `${path}needs` })
  }
}
