// How route files add to the table of routes.

import type { Handler } from '../call.ts'
import type { House } from '../house.ts'
import type { Method } from '../router.ts'

export type AddRoute = (method: Method, pattern: string, handler: Handler) => void

/** A group of routes: adds its own to the table. */
export type Routes = (add: AddRoute, house: House) => void
