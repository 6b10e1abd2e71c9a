// A node of the tree: suite, family, task or alias, and the root that holds all suites. Compact on purpose:
// a hundred thousand of them are normal. Paths are not stored, they are spelled out when somebody asks.

import { Attributes, RareAttributes, type Variable } from './attribute.ts'
import { type FlagName, flagBit } from './flag.ts'
import type { DefaultState, DisplayState, NodeState } from './state.ts'

export type NodeKind = 'root' | 'suite' | 'family' | 'task' | 'alias'

/** What only tasks and aliases have: the run they are in. Absent before the first run. */
export interface TaskRun {
  tryNumber: number
  /** The secret of the running job; '' when none runs. */
  password: string
  /** The process id the job reported; '' before its init. */
  remoteId: string
  abortReason: string
  /** The server's own number of the work that carries its job command out; undefined until that was handed over. */
  job?: number | undefined
  /** Its script is one that somebody edited for this run. */
  edited?: boolean | undefined
}

/** What somebody changed about a node. */
export interface Edit {
  /** Epoch ms. */
  readonly at: number
  readonly by: string
  /** The command, in the words of the original's client without its dashes: `requeue /s/f`. */
  readonly text: string
}

/** Above this many children a container finds them by a map instead of by looking through the list. */
const mapFrom = 12

/** One node. Whatever few nodes have is absent until it is needed. */
export class Node {
  readonly kind: NodeKind
  readonly name: string
  parent: Node | undefined
  children: Node[] | undefined = undefined
  state: NodeState = 'unknown'
  suspended = false
  defaultState: DefaultState = 'queued'
  flags = 0
  /** Elapsed suite minutes at the last change of state. */
  since = 0
  attributes: Attributes | undefined = undefined
  run: TaskRun | undefined = undefined
  /** Only on suites. */
  suite: SuitePart | undefined = undefined
  /** Only on the root: what the server itself sets, below the user's variables. */
  serverVariables: Variable[] | undefined = undefined
  /** The archived children, as persisted text. */
  archive: string | undefined = undefined
  /** The last things that people did to it, the oldest first. */
  edits: Edit[] | undefined = undefined
  /** Place in the order in which a pass looks at nodes; the planner's. */
  order = 0
  /** Nodes whose expressions name this one; the planner's. */
  dependents: Node[] | undefined = undefined
  /** Elapsed suite minutes before which none of its times can become free; 0 when that is not known. */
  due = 0
  /** It waits to be looked at; the planner's. */
  isMarked = false
  /** Only on containers: nothing on it holds its children back, as last seen; the planner's. */
  isOpen = false
  /** How many children are in each state, by rank; the planner's, dropped whenever the children change. */
  counts: number[] | undefined = undefined
  private byName: Map<string, Node> | undefined = undefined

  constructor(kind: NodeKind, name: string, parent?: Node) {
    this.kind = kind
    this.name = name
    this.parent = parent
  }

  /** Makes room for attributes. */
  get own(): Attributes {
    this.attributes ??= new Attributes()
    return this.attributes
  }

  /** Makes room for rare attributes. */
  get ownRare(): RareAttributes {
    const own = this.own
    own.rare ??= new RareAttributes()
    return own.rare
  }

  get isContainer(): boolean {
    return this.kind === 'suite' || this.kind === 'family' || this.kind === 'root'
  }

  get path(): string {
    if (this.kind === 'root') return '/'
    let path = ''
    for (let node: Node | undefined = this; node && node.kind !== 'root'; node = node.parent) {
      path = `/${node.name}${path}`
    }
    return path
  }

  get displayState(): DisplayState {
    return this.suspended ? 'suspended' : this.state
  }

  has(flag: FlagName): boolean {
    return (this.flags & flagBit(flag)) !== 0
  }

  child(name: string): Node | undefined {
    const { children } = this
    if (!children) return undefined
    if (this.byName) return this.byName.get(name)
    if (children.length >= mapFrom) {
      this.byName = new Map(children.map(child => [child.name, child]))
      return this.byName.get(name)
    }
    for (const child of children) if (child.name === name) return child
    return undefined
  }

  /** Puts a child last. The caller has made sure that its name is free. */
  add(child: Node): void {
    child.parent = this
    this.children ??= []
    this.children.push(child)
    this.counts = undefined
    this.byName?.set(child.name, child)
  }

  /** Puts a child at a place. The caller has made sure that its name is free. */
  insert(child: Node, at: number): void {
    child.parent = this
    this.children ??= []
    this.children.splice(at, 0, child)
    this.counts = undefined
    this.byName?.set(child.name, child)
  }

  /** Takes a child out; it keeps what is below it. */
  remove(child: Node): void {
    const { children } = this
    if (!children) return
    const at = children.indexOf(child)
    if (at < 0) return
    children.splice(at, 1)
    this.counts = undefined
    this.byName?.delete(child.name)
    child.parent = undefined
    if (children.length === 0) {
      this.children = undefined
      this.byName = undefined
    }
  }

  /** Drops all children (they were archived). */
  clearChildren(): void {
    this.children = undefined
    this.byName = undefined
    this.counts = undefined
  }

  /** The suite this node is in; undefined for the root and for a subtree that hangs nowhere. */
  get suiteNode(): Node | undefined {
    let node: Node | undefined = this
    while (node && node.kind !== 'suite') node = node.parent
    return node
  }
}

/** What a suite has beyond a node: whether it began, and its clock. */
export interface SuitePart {
  begun: boolean
  /** Suite time in minutes since 1970, in the suite's own local time; 0 before begin. */
  minute: number
  /** Wall-clock minute (UTC, since 1970) up to which the clock was advanced; 0 when it follows polls, not the wall. */
  wall: number
  /** Minutes of suite time since begin. Unlike `minute` it never goes back, whatever the clock does. */
  elapsed: number
}

/** Every node of a subtree, the node itself first, parents before children. Depth is bounded by the parser. */
export function* walk(node: Node): Generator<Node> {
  yield node
  if (node.children) for (const child of node.children) yield* walk(child)
}

/** Calls `visit` for every node of a subtree, parents first; much faster than `walk` on large trees. */
export function visitAll(node: Node, visit: (node: Node) => void): void {
  visit(node)
  const { children } = node
  if (children) for (let i = 0; i < children.length; i++) visitAll(children[i]!, visit)
}

/** The levels above a node, the nearest first, without the root. */
export function ancestors(node: Node): Node[] {
  const list: Node[] = []
  for (let at = node.parent; at && at.kind !== 'root'; at = at.parent) list.push(at)
  return list
}

/** How many levels stand above a node; a suite has none. */
export function depthOf(node: Node): number {
  let depth = 0
  for (let at = node.parent; at && at.kind !== 'root'; at = at.parent) depth++
  return depth
}
