// Paths to handlers by the original's rules, which no ordinary router has: double and trailing slashes do not count,
// inner nodes list their children, and the methods of a path are told in its own order.

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'
const methodOrder: readonly Method[] = ['GET', 'POST', 'PUT', 'DELETE']

interface Node<H> {
  readonly children: Map<string, Node<H>>
  parameter?: { readonly name: string; readonly node: Node<H> }
  /** Takes the rest of the path. */
  rest?: Map<Method, H>
  readonly handlers: Map<Method, H>
}

export interface Match<H> {
  readonly handlers: ReadonlyMap<Method, H>
  readonly params: Readonly<Record<string, string>>
  /** What a `*` at the end stands for. */
  readonly rest: readonly string[]
  /** The fixed names below this node. */
  readonly children: readonly string[]
}

export class Router<H> {
  readonly #root: Node<H> = { children: new Map(), handlers: new Map() }

  /** Adds a handler: `{name}` stands for one segment, `*` at the end for all that follow. */
  add(method: Method, pattern: string, handler: H): void {
    let node = this.#root
    for (const part of segmentsOf(pattern)) {
      if (part === '*') {
        node.rest ??= new Map()
        node.rest.set(method, handler)
        return
      }
      const name = /^\{(\w+)\}$/.exec(part)?.[1]
      if (name === undefined) {
        let child = node.children.get(part)
        if (!child) node.children.set(part, (child = { children: new Map(), handlers: new Map() }))
        node = child
      } else {
        node.parameter ??= { name, node: { children: new Map(), handlers: new Map() } }
        node = node.parameter.node
      }
    }
    node.handlers.set(method, handler)
  }

  /** What a path leads to. Fixed names win over parameters, and those over the rest. */
  match(segments: readonly string[]): Match<H> | undefined {
    return find(this.#root, segments, 0, {})
  }
}

function find<H>(
  node: Node<H>,
  segments: readonly string[],
  at: number,
  params: Readonly<Record<string, string>>,
): Match<H> | undefined {
  const segment = segments[at]
  if (segment === undefined) {
    if (node.handlers.size === 0 && node.children.size === 0) return undefined
    return { handlers: node.handlers, params, rest: [], children: [...node.children.keys()].sort() }
  }
  const child = node.children.get(segment)
  const fixed = child && find(child, segments, at + 1, params)
  if (fixed) return fixed
  const { parameter } = node
  const found = parameter && find(parameter.node, segments, at + 1, { ...params, [parameter.name]: segment })
  if (found) return found
  if (!node.rest) return undefined
  return { handlers: node.rest, params, rest: segments.slice(at), children: [] }
}

/** The segments of a path, decoded; empty ones do not count. */
export function segmentsOf(path: string): string[] {
  return path.split('/').filter(Boolean).map(decode)
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment // A bare % stands for itself.
  }
}

/** The methods of a node, for `Allow`. */
export function allowOf(handlers: ReadonlyMap<Method, unknown>): string {
  return methodOrder.filter(method => handlers.has(method)).join(',')
}
