// What a path of the API means: which node or which part of the server, and what about it. Contract ecflow §2.1.

/** What is asked about a node. */
export const nodeTargets = [
  'tree',
  'definition',
  'status',
  'attributes',
  'script',
  'output',
  'history',
] as const
export type NodeTarget = (typeof nodeTargets)[number]

export type Place =
  | { readonly type: 'suites' }
  | { readonly type: 'forest' | 'forest-history' }
  /** `node` is the node's own path, beginning with a slash. */
  | { readonly type: NodeTarget; readonly node: string }
  /** The short form, `/v1/suites/P`. */
  | { readonly type: 'node'; readonly node: string }
  | { readonly type: 'zombies' }
  | { readonly type: 'ping' | 'server-status' | 'server-attributes' | 'statistics' | 'openapi' | 'events' }

const fixed: Readonly<Record<string, Place>> = {
  '/v1/suites': { type: 'suites' },
  '/v1/suites/tree': { type: 'forest' },
  '/v1/suites/history': { type: 'forest-history' },
  '/v1/server/ping': { type: 'ping' },
  '/v1/server/status': { type: 'server-status' },
  '/v1/server/attributes': { type: 'server-attributes' },
  '/v1/server/zombies': { type: 'zombies' },
  '/v1/statistics': { type: 'statistics' },
  '/v1/openapi.yaml': { type: 'openapi' },
  '/v1/events': { type: 'events' },
}

/** The place a raw URL path leads to; undefined when it leads nowhere. */
export function readPlace(path: string): Place | undefined {
  if (Object.hasOwn(fixed, path)) return fixed[path]
  const prefix = '/v1/suites/'
  if (!path.startsWith(prefix)) return undefined
  const rest = path.slice(prefix.length)
  // Whatever else is in the path, an encoded slash or a NUL included, misses the route.
  if (!/^[A-Za-z0-9_/.]+$/.test(rest) || rest.endsWith('/')) return undefined
  const names = rest.split('/').filter(name => name !== '')
  if (names.some(name => name === '.' || name === '..')) return undefined
  const last = names.at(-1)!
  if (names.length > 1 && isTarget(last)) return { type: last, node: `/${names.slice(0, -1).join('/')}` }
  return { type: 'node', node: `/${names.join('/')}` }
}

function isTarget(word: string): word is NodeTarget {
  return (nodeTargets as readonly string[]).includes(word)
}

/** The methods of each kind of place, in the order in which OPTIONS lists them. */
export const methodsOf: Readonly<Record<Place['type'], readonly string[]>> = {
  suites: ['GET', 'POST'],
  forest: ['GET'],
  'forest-history': ['GET'],
  tree: ['GET'],
  definition: ['GET', 'PUT', 'DELETE'],
  status: ['GET', 'PUT'],
  attributes: ['GET', 'PUT', 'POST', 'DELETE'],
  script: ['GET', 'PUT'],
  output: ['GET'],
  history: ['GET'],
  node: ['PUT', 'DELETE'],
  ping: ['GET'],
  'server-status': ['GET', 'PUT'],
  'server-attributes': ['GET', 'PUT', 'POST', 'DELETE'],
  zombies: ['GET', 'PUT'],
  statistics: ['GET'],
  openapi: ['GET'],
  events: ['GET'],
}
