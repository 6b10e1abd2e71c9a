// /yard/admin: what an operator's commands ask of a running server. Not an API for programs; those have /yard/v1.

import { isAbsolute } from 'node:path'
import type { FastifyPluginAsync } from 'fastify'
import { z } from 'zod'
import { Refused, refuse } from '../core/refusal.ts'
import type { Access } from '../dialects/dialect.ts'
import { sendJson } from '../http/json.ts'
import type { Store } from '../store/store.ts'
import { makeBackup } from './backup.ts'
import type { DataDir } from './data-dir.ts'

export interface AdminParts {
  readonly access: Access
  readonly store: Store
  readonly dir: DataDir
  readonly now: () => number
}

const backupRequest = z.strictObject({
  /** A folder on the server's machine. */
  target: z.string().refine(isAbsolute, 'must be an absolute path'),
  images: z.boolean().default(false),
})

export function adminRoutes({ access, store, dir, now }: AdminParts): FastifyPluginAsync {
  return async scope => {
    let isBackingUp = false
    scope.post('/yard/admin/backup', async (request, reply) => {
      await access.demand(request, 'administer')
      const read = backupRequest.safeParse(request.body)
      if (!read.success) {
        const issue = read.error.issues[0]!
        return refuse('bad-field', `${issue.path.join('.')}: ${issue.message}`, {
          field: issue.path.join('.'),
        })
      }
      if (isBackingUp) refuse('conflict', 'Another backup is being made')
      isBackingUp = true
      try {
        return sendJson(reply, await makeBackup({ store, dir, ...read.data, now }))
      } catch (error) {
        if (error instanceof Refused) throw error
        // A full disk, a folder that may not be written: the operator can do something about it.
        return refuse('unavailable', `The backup could not be made: ${(error as Error).message}`)
      } finally {
        isBackingUp = false
      }
    })
  }
}
