// The Scale dialect: versioned recipes of container programs, at /v6 (and /v7), with or without /api before it.
// contracts/scale.md is the promise; README.md says where we answer otherwise.

import { readFileSync } from 'node:fs'
import { refuse } from '../../core/refusal.ts'
import { workAt } from '../../core/work.ts'
import type { Dialect } from '../dialect.ts'
import { scanKind } from './files/scans.ts'
import { batchRoutes } from './routes/batches.ts'
import { fileRoutes } from './routes/files.ts'
import { jobTypeRoutes } from './routes/job-types.ts'
import { jobRoutes } from './routes/jobs.ts'
import { recipeTypeRoutes } from './routes/recipe-types.ts'
import { recipeRoutes } from './routes/recipes.ts'
import { scanRoutes } from './routes/scans.ts'
import { statusRoutes } from './routes/status.ts'
import { collectKind, recipeDrafter, recipeKind } from './run/drafter.ts'
import { prepareCollect, prepareContainer, prepareProgram } from './run/prepare.ts'
import { readSettings } from './settings.ts'
import { addRoutes, prefixes, type Route } from './web/routing.ts'
import { World } from './world.ts'

/** What `/v6/version/` says: the version of this server, as package.json has it. */
function serverVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

export const scale: Dialect = {
  name: 'scale',
  claims: prefixes,
  // Scale's reads are open; whatever changes something can make the server run a program, and needs credentials.
  access: { anonymous: ['read'] },
  work: {
    'scale.noop': workAt(import.meta.url, './run/noop-work.ts', 'noop'),
    [scanKind]: workAt(import.meta.url, './run/scan-work.ts', 'scan'),
    [collectKind]: workAt(import.meta.url, './run/collect-work.ts', 'collect'),
  },
  async open(kit) {
    const settings = readSettings(kit.settings)
    const world = new World(kit, settings)
    kit.draft(
      recipeKind,
      recipeDrafter(settings.pool, typeId => (world.isUnread ? undefined : world.follower.mayStart(typeId))),
    )
    kit.forget((ended, before) => world.forgetting.forget(ended, before))
    kit.prepare('scale.job', prepareProgram(world))
    kit.prepare('scale.container', prepareContainer(world))
    kit.prepare(collectKind, prepareCollect(world))
    let stopWatching = (): void => {}
    return {
      routes: async app => {
        const facts = { version: serverVersion(), startedAt: kit.clock.now() }
        const ready = async (route: Route): Promise<void> => {
          if (!kit.engine.up) refuse('unavailable', 'The server cannot store anything at the moment')
          await (route.onlyAdds ? world.loaded() : world.ready())
        }
        const routes = [
          ...statusRoutes(world, facts),
          ...jobTypeRoutes(world),
          ...recipeTypeRoutes(world),
          ...recipeRoutes(world),
          ...jobRoutes(world),
          ...fileRoutes(world),
          ...scanRoutes(world),
          ...batchRoutes(world),
        ]
        addRoutes(app, kit, routes, ready)
      },
      ready: async () => {
        stopWatching = kit.engine.watch(events => world.hear(events))
        await world.ready()
      },
      close: async () => {
        stopWatching()
      },
    }
  },
}
