// The server itself: who am I, which pools and executors there are, what this API is.

import { z } from 'zod'
import type { Json } from '../../../core/json.ts'
import type { Kit } from '../../dialect.ts'
import { type NativeRoute, route } from '../route.ts'
import { poolOut } from '../shapes.ts'

/** Routes about the server itself. */
export function serverRoutes(kit: Kit, document: () => unknown): NativeRoute[] {
  const { engine } = kit
  return [
    route({
      method: 'GET',
      path: '/openapi.json',
      id: 'describeApi',
      summary: 'This document. It needs no credentials.',
      right: 'none',
      answers: { 200: z.record(z.string(), z.json()) },
      handle: async () => ({ json: document() as Json }),
    }),
    route({
      method: 'GET',
      path: '/pools',
      id: 'listPools',
      summary: 'Pools: what they hold, what is taken, how many jobs wait.',
      right: 'read',
      answers: { 200: z.object({ items: z.array(poolOut) }) },
      handle: async () => ({ json: { items: engine.poolState() } }),
    }),
    route({
      method: 'GET',
      path: '/executors',
      id: 'listExecutors',
      summary: 'Who runs jobs here, and what each can do.',
      right: 'read',
      answers: {
        200: z.object({
          items: z.array(z.object({ name: z.string(), can: z.record(z.string(), z.boolean()) })),
        }),
      },
      handle: async () => ({
        json: { items: [...engine.executors.values()].map(({ name, can }) => ({ name, can })) },
      }),
    }),
    route({
      method: 'GET',
      path: '/whoami',
      id: 'whoAmI',
      summary: 'Whom the server takes the caller for.',
      right: 'read',
      answers: {
        200: z.object({
          name: z.string(),
          role: z.string(),
          groups: z.array(z.string()),
          scheme: z.string(),
        }),
      },
      handle: async ({ principal: { name, role, groups, scheme } }) => ({
        json: { name, role, groups, scheme },
      }),
    }),
  ]
}
