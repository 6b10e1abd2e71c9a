// All routes of the dialect, with its own parsers and errors.

import type { FastifyPluginAsync } from 'fastify'
import { takeAnyBody } from '../../http/bodies.ts'
import { accountingRoutes } from './accounting.ts'
import { dataRoutes } from './data.ts'
import { installErrors } from './errors.ts'
import { insideRoutes } from './inside.ts'
import { issuerRoutes } from './issuer.ts'
import { jobRoutes } from './jobs.ts'
import { kvRoutes } from './kv.ts'
import type { Parts } from './parts.ts'
import { streamRoutes } from './streams.ts'
import { systemRoutes } from './system.ts'
import { workflowRoutes } from './workflows.ts'

/** The Fastify plugin of this dialect. */
export function routesOf(parts: Parts): FastifyPluginAsync {
  return async app => {
    // Bodies are read where they are used: as JSON whatever they call themselves, or straight to disk.
    takeAnyBody(app, 'stream')
    installErrors(app)
    jobRoutes(app, parts)
    workflowRoutes(app, parts)
    streamRoutes(app, parts)
    insideRoutes(app, parts)
    if (parts.settings.kv) kvRoutes(app, parts)
    dataRoutes(app, parts)
    accountingRoutes(app, parts)
    systemRoutes(app, parts)
    issuerRoutes(app, parts)
  }
}
