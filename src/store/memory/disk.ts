// What a memory store keeps: plain maps that outlive the store, as a disk outlives the process. Changes are made
// through an undo list, so that a batch that turns out to be impossible leaves nothing behind.

import type { Event } from '../../core/event.ts'
import type { Flow, FlowNode } from '../../core/flow.ts'
import type { Attempt, Job, Output } from '../../core/job.ts'
import type { Entries } from '../conditions.ts'
import type { Rec } from '../store.ts'

/** A record with what it can be found by. */
export interface KeptRecord extends Rec {
  readonly entries: Entries
}

export class MemoryDisk {
  readonly jobs = new Map<number, Job>()
  readonly flows = new Map<number, Flow>()
  /** Places by id and by dialect and ref, of jobs and of flows. */
  readonly jobNames = new Map<string, number>()
  readonly flowNames = new Map<string, number>()
  readonly specs = new Map<number, string>()
  /** Of a job, in order of number. */
  readonly attempts = new Map<number, readonly Attempt[]>()
  /** Of a job, in order of name. */
  readonly outputs = new Map<number, readonly Output[]>()
  /** By flow, then by key. */
  readonly nodes = new Map<number, Map<string, FlowNode>>()
  readonly events = new Map<number, Event>()
  /** By collection, then by id. */
  readonly records = new Map<string, Map<string, KeptRecord>>()
  readonly blobs = new Map<string, number>()
  readonly counters = new Map<string, number>()
  /** `place`, `event`, `record`: the highest number given so far. */
  readonly marks = new Map<string, number>()
  /** The store that has this disk open. */
  holder: object | undefined

  /** The disk as JSON text, for backups. */
  write(): string {
    const sections = Object.entries(this).filter(([, value]) => value instanceof Map)
    return JSON.stringify(Object.fromEntries(sections.map(([name, map]) => [name, writeMap(map)])))
  }

  /** A disk from what `write` made. */
  static read(text: string): MemoryDisk {
    const disk = new MemoryDisk()
    const nested: readonly string[] = ['nodes', 'records']
    for (const [name, rows] of Object.entries(JSON.parse(text) as Record<string, [unknown, unknown][]>)) {
      const map = disk[name as 'specs'] as Map<unknown, unknown>
      for (const [key, value] of rows) {
        map.set(key, nested.includes(name) ? new Map(value as [unknown, unknown][]) : value)
      }
    }
    return disk
  }
}

function writeMap(map: ReadonlyMap<unknown, unknown>): unknown[] {
  return Array.from(map, ([key, value]) => [key, value instanceof Map ? writeMap(value) : value])
}

/** Changes of maps that can be taken back together. */
export class Undoable {
  readonly #undo: (() => void)[] = []

  set<K, V>(map: Map<K, V>, key: K, value: V): void {
    const had = map.has(key)
    const old = map.get(key)
    this.#undo.push(() => (had ? map.set(key, old as V) : map.delete(key)))
    map.set(key, value)
  }

  drop<K, V>(map: Map<K, V>, key: K): void {
    if (!map.has(key)) return
    const old = map.get(key) as V
    this.#undo.push(() => map.set(key, old))
    map.delete(key)
  }

  takeBack(): void {
    for (const undo of this.#undo.reverse()) undo()
  }
}
