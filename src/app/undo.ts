// What has been started, to be stopped again in the opposite order.

/** Things to undo, newest first. One that fails does not keep the others from being undone. */
export class Undo {
  readonly #steps: (() => Promise<void>)[] = []

  add(step: () => Promise<void>): void {
    this.#steps.push(step)
  }

  async run(): Promise<void> {
    const failures: unknown[] = []
    for (const step of this.#steps.splice(0).reverse()) {
      await step().catch(error => failures.push(error))
    }
    if (failures.length > 0) throw failures[0]
  }
}
