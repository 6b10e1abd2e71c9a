// The server itself: who am I, which pools and executors there are.

import { z } from 'zod'
import type { Kit } from '../../dialect.ts'
import { type NativeRoute, route } from '../route.ts'
import { poolOut } from '../shapes.ts'

export function serverRoutes(kit: Kit): NativeRoute[] {
  const { engine } = kit
  return [
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
