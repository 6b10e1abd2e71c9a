// Keeps attempts from starting while it is closed: jobs can be seen waiting for as long as a test likes.

import type { Executor, StartOrder } from '../../src/executors/executor.ts'

/** A gate in front of executors. */
export class StartGate {
  #waiting: { executor: Executor; orders: readonly StartOrder[] }[] = []
  #isOpen = true

  close(): void {
    this.#isOpen = false
  }

  open(): void {
    this.#isOpen = true
    for (const { executor, orders } of this.#waiting.splice(0)) executor.start(orders)
  }

  /** The same executor, whose starts go through this gate. */
  before<T extends Executor>(executor: T): T {
    const gate = this
    return new Proxy(executor, {
      get(target, name) {
        if (name === 'start') {
          return (orders: readonly StartOrder[]) =>
            gate.#isOpen ? target.start(orders) : void gate.#waiting.push({ executor: target, orders })
        }
        if (name === 'stop') {
          return (...args: Parameters<Executor['stop']>) => {
            // A stop of what waits here lets it through: the executor then ends it before it begins.
            gate.open()
            target.stop(...args)
          }
        }
        const value = Reflect.get(target, name, target) as unknown
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
  }
}
