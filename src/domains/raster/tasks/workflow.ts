// Workflows: tasks that feed each other, as a JSON file describes them. The graph is checked when it is read; at run
// time only what the outputs need is run, each node once, and what nobody needs any more is let go.

import { isObject } from '../../../core/json.ts'
import { type Parameter, readParameter } from './parameter.ts'
import { ParameterCollection, runTask, type Task, type TaskTools } from './task.ts'

const nodesMax = 10_000

type Source =
  | { readonly from: 'input'; readonly input: string }
  | { readonly from: 'node'; readonly node: string; readonly output: string }
  | { readonly from: 'literal'; readonly value: unknown }

interface Node {
  readonly id: string
  readonly task: Task
  readonly sources: readonly (readonly [name: string, source: Source])[]
}

interface Output {
  readonly parameter: Parameter
  readonly node: string
  readonly output: string
}

/** Reads a workflow; throws with what is wrong in it. The result is a task like any other. */
export function readWorkflow(document: unknown, find: (name: string) => Task | undefined): Task {
  if (!isObject(document)) throw new Error('a workflow must be a JSON object')
  const inputs = listOf(document, 'inputs').map(readParameter)
  const nodes = readNodes(listOf(document, 'workflow'), find)
  const outputs = listOf(document, 'outputs').map(item => readOutput(item, nodes))
  checkSources(nodes, new Set(inputs.map(({ name }) => name)))
  checkCycles(nodes)
  const meta = document['meta']
  const name = isObject(meta) && typeof meta['name'] === 'string' ? meta['name'] : undefined
  return {
    ...(name === undefined ? {} : { name }),
    inputs,
    outputs: outputs.map(({ parameter }) => parameter),
    keepsFloats: true,
    execute: (args, tools) => new Run({ nodes, outputs, args, tools }).go(),
  }
}

function listOf(document: Record<string, unknown>, name: string): unknown[] {
  const value = document[name] ?? []
  if (!Array.isArray(value)) throw new Error(`${name} of a workflow must be a list`)
  return value
}

function readNodes(list: unknown[], find: (name: string) => Task | undefined): Map<string, Node> {
  if (list.length > nodesMax) throw new Error(`a workflow has at most ${nodesMax} nodes`)
  const nodes = new Map<string, Node>()
  for (const item of list) {
    const node: Record<string, unknown> = isObject(item) ? item : {}
    const { id, task: taskName, inputs = {} } = node
    if (typeof id !== 'string' || id === '') throw new Error('a node of a workflow must have an id')
    if (nodes.has(id)) throw new Error(`there are two nodes ${id}`)
    const task = typeof taskName === 'string' ? find(taskName) : undefined
    if (!task) throw new Error(`node ${id} names a task that there is not: ${String(taskName)}`)
    if (!isObject(inputs)) throw new Error(`the inputs of node ${id} must be an object`)
    const sources = Object.entries(inputs).map(
      ([name, source]) => [name, readSource(id, name, source)] as const,
    )
    nodes.set(id, { id, task, sources })
  }
  return nodes
}

function readSource(id: string, name: string, source: unknown): Source {
  const where = `input ${name} of node ${id}`
  if (!isObject(source)) throw new Error(`${where} must be an object`)
  const { source: kind, input, node } = source
  if (kind === 'input') {
    if (typeof input !== 'string') throw new Error(`${where} must name a workflow input`)
    return { from: 'input', input }
  }
  if (kind === 'dependency') return { from: 'node', ...readPlace(node, where) }
  // The original writes literals under `node`.
  if (kind === 'literal') return { from: 'literal', value: 'input' in source ? input : (node ?? null) }
  throw new Error(`${where} has an unknown source: ${String(kind)}`)
}

function readPlace(place: unknown, where: string): { node: string; output: string } {
  const [node, output] = Array.isArray(place) ? place : []
  if (typeof node !== 'string' || typeof output !== 'string')
    throw new Error(`${where} must name a node and its output: [id, name]`)
  return { node, output }
}

function readOutput(item: unknown, nodes: ReadonlyMap<string, Node>): Output {
  const { name, node: place }: Record<string, unknown> = isObject(item) ? item : {}
  if (typeof name !== 'string' || name === '') throw new Error('an output of a workflow must have a name')
  const { node, output } = readPlace(place, `output ${name}`)
  const parameter = outputOf(nodes, node, output, `output ${name}`)
  return { parameter: { ...parameter, name, isRequired: false }, node, output }
}

function outputOf(nodes: ReadonlyMap<string, Node>, id: string, output: string, where: string): Parameter {
  const node = nodes.get(id)
  if (!node) throw new Error(`${where} names node ${id}, which there is not`)
  const parameter = node.task.outputs.find(({ name }) => name === output)
  if (!parameter) throw new Error(`${where} names output ${output} of node ${id}, which there is not`)
  return parameter
}

function checkSources(nodes: ReadonlyMap<string, Node>, inputs: ReadonlySet<string>): void {
  for (const { id, sources } of nodes.values()) {
    for (const [name, source] of sources) {
      const where = `input ${name} of node ${id}`
      if (source.from === 'input' && !inputs.has(source.input))
        throw new Error(`${where} names workflow input ${source.input}, which there is not`)
      if (source.from === 'node') outputOf(nodes, source.node, source.output, where)
    }
  }
}

/** Takes away nodes that wait for nothing until none is left; what remains waits for itself. */
function checkCycles(nodes: ReadonlyMap<string, Node>): void {
  const waiting = new Map([...nodes.values()].map(node => [node.id, new Set(upstreamOf(node))]))
  const users = new Map<string, string[]>()
  for (const node of nodes.values()) {
    for (const id of upstreamOf(node)) users.set(id, [...(users.get(id) ?? []), node.id])
  }
  const free = [...waiting].filter(([, needs]) => needs.size === 0).map(([id]) => id)
  for (let id = free.pop(); id !== undefined; id = free.pop()) {
    waiting.delete(id)
    for (const user of users.get(id) ?? []) {
      const needs = waiting.get(user)
      if (needs?.delete(id) && needs.size === 0) free.push(user)
    }
  }
  if (waiting.size > 0) throw new Error(`nodes wait for each other: ${[...waiting.keys()].join(', ')}`)
}

function upstreamOf(node: Node): string[] {
  const ids = node.sources.flatMap(([, source]) => (source.from === 'node' ? [source.node] : []))
  return [...new Set(ids)]
}

/** One run of a workflow. */
class Run {
  readonly #nodes: ReadonlyMap<string, Node>
  readonly #outputs: readonly Output[]
  readonly #args: Readonly<Record<string, unknown>>
  readonly #tools: TaskTools
  /** How many still want each node's results: at zero the results are let go. */
  readonly #wanted = new Map<string, number>()
  readonly #results = new Map<string, ReadonlyMap<string, unknown>>()

  constructor(parts: {
    nodes: ReadonlyMap<string, Node>
    outputs: readonly Output[]
    args: Readonly<Record<string, unknown>>
    tools: TaskTools
  }) {
    this.#nodes = parts.nodes
    this.#outputs = parts.outputs
    this.#args = parts.args
    this.#tools = parts.tools
  }

  async go(): Promise<ParameterCollection> {
    const order = this.#order()
    for (const id of order) for (const up of upstreamOf(this.#nodes.get(id)!)) this.#want(up)
    for (const { node } of this.#outputs) this.#want(node)
    for (const [index, id] of order.entries()) {
      this.#tools.progress(index / order.length)
      await this.#run(this.#nodes.get(id)!)
    }
    const values: Record<string, unknown> = {}
    for (const { parameter, node, output } of this.#outputs) {
      const value = this.#results.get(node)?.get(output)
      if (value !== undefined) values[parameter.name] = value
    }
    return new ParameterCollection(values)
  }

  #want(id: string): void {
    this.#wanted.set(id, (this.#wanted.get(id) ?? 0) + 1)
  }

  /** What the outputs need, depth first, without recursion: a chain may be long. */
  #order(): string[] {
    const order: string[] = []
    const seen = new Set<string>()
    const stack = this.#outputs.map(({ node }) => ({ id: node, isReady: false })).reverse()
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      if (top.isReady) order.push(top.id)
      else if (!seen.has(top.id)) {
        seen.add(top.id)
        stack.push({ id: top.id, isReady: true })
        const needs = upstreamOf(this.#nodes.get(top.id)!)
        stack.push(...needs.reverse().map(id => ({ id, isReady: false })))
      }
    }
    return order
  }

  async #run(node: Node): Promise<void> {
    const args = new Map<string, unknown>()
    for (const [name, source] of node.sources) {
      if (source.from === 'literal') args.set(name, source.value)
      else if (source.from === 'input') {
        if (Object.hasOwn(this.#args, source.input)) args.set(name, this.#args[source.input])
      } else {
        const value = this.#results.get(source.node)?.get(source.output)
        if (value !== undefined) args.set(name, value)
      }
    }
    try {
      this.#results.set(node.id, await runTask(node.task, args, this.#tools))
    } catch (error) {
      throw new Error(`node ${node.id}: ${(error as Error).message}`, { cause: error })
    }
    for (const id of upstreamOf(node)) {
      const left = this.#wanted.get(id)! - 1
      this.#wanted.set(id, left)
      if (left === 0) this.#results.delete(id)
    }
  }
}
