// The PROMINENCE dialect: container jobs and workflows for scientists. README.md says what is where.

import { availableParallelism, totalmem } from 'node:os'
import type { JsonObject } from '../../core/json.ts'
import { Serial } from '../../core/serial.ts'
import { workAt } from '../../core/work.ts'
import type { PoolSettings } from '../../engine/engine.ts'
import type { Dialect, Kit, OpenDialect } from '../dialect.ts'
import { basePaths } from './call.ts'
import { workflowDrafter } from './draft.ts'
import { freeIn } from './free.ts'
import { openIdentity } from './identity.ts'
import { issuerPath } from './issuer.ts'
import { KeyDroppings } from './kv-drop.ts'
import { linkPath, openLinks } from './links.ts'
import { Notifications, noticeKind } from './notifications.ts'
import { reshapeRecords } from './older-records.ts'
import type { Parts } from './parts.ts'
import { jobPreparer } from './prepare.ts'
import { routesOf } from './routes.ts'
import { openSeals } from './seals.ts'
import { readSettings, type Settings } from './settings.ts'
import { dialectName, jobKind, Specs, workflowKind } from './spec.ts'
import { Stored } from './stored.ts'
import { Sweeper } from './sweep.ts'

/** The dialect as app/ opens it. */
export const prominence: Dialect = {
  name: dialectName,
  claims: [...basePaths, linkPath, issuerPath],
  // Bearer tokens only, everywhere: jobs are programs of the caller's choice.
  access: { anonymous: [] },
  work: { [noticeKind]: workAt(import.meta.url, './outside/notify.ts', 'default') },
  // Owners take turns, and a priority counts only among one's own jobs: contracts/prominence.md §3.2.
  pools: section => {
    const settings = readSettings(section)
    return { [settings.pool]: poolOf(settings) }
  },
  open,
}

async function open(kit: Kit): Promise<OpenDialect> {
  const settings = readSettings(kit.settings)
  const serial = new Serial()
  const stored = new Stored({ kit, settings, serial })
  const droppings = new KeyDroppings({ kit, serial, stored })
  const parts: Parts = {
    kit,
    settings,
    identity: openIdentity({ access: kit.access, clock: kit.clock, settings }),
    links: openLinks(await kit.secret('prominence-links')),
    seals: openSeals(await kit.secret('prominence-seals'), bytes => kit.random(bytes)),
    specs: new Specs(kit),
    ...{ serial, stored, droppings },
  }
  const notifications = new Notifications(parts)
  const sweeper = new Sweeper(parts)
  const prepareJob = jobPreparer(parts)
  kit.draft(
    workflowKind,
    workflowDrafter(settings, () => freeIn(kit, settings)),
  )
  kit.prepare(jobKind, order => {
    void sweeper.occasion()
    return prepareJob(order)
  })
  kit.prepare(noticeKind, ({ spec }) =>
    addMailServer(spec as { function: string; input: JsonObject }, settings),
  )
  return {
    routes: routesOf(parts),
    async ready() {
      await reshapeRecords(kit)
      await droppings.start()
      await notifications.start()
      void sweeper.occasion()
    },
    close: () => notifications.close(),
  }
}

/** All of this machine, unless the configuration has a pool of this name. */
function poolOf({ quota }: Settings): PoolSettings {
  return {
    fair: true,
    resources: { cpus: availableParallelism(), memoryBytes: totalmem() },
    ...(quota.runningJobs === undefined ? {} : { ownerSlots: quota.runningJobs }),
  }
}

/** For each try anew: the mail server's password is never stored with a notice. */
function addMailServer(spec: { function: string; input: JsonObject }, { smtp }: Settings): JsonObject {
  if (smtp === undefined) return spec
  return { ...spec, input: { ...spec.input, mailServer: { ...smtp } as JsonObject } }
}
