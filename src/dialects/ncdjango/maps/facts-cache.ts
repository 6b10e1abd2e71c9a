// Answers about the values of layers, kept for a while: files of services never change, and looking through a grid for
// its range takes long enough to be noticed each time a page is opened.

/** How many answers are kept, and how large one may be (as JSON) to be kept at all. */
const keptMax = 2000
const charactersMax = 20_000

type Facts = Record<string, unknown>

export class FactsCache {
  readonly #kept = new Map<string, Facts>()
  /** Questions under way: whoever asks the same meanwhile waits with the first. */
  readonly #asked = new Map<string, Promise<Facts>>()

  /** The answer to the question of this key, found out if it is not known. */
  async get(key: string, find: () => Promise<Facts>): Promise<Facts> {
    const known = this.#kept.get(key)
    if (known) {
      // The least recently used go first.
      this.#kept.delete(key)
      this.#kept.set(key, known)
      return known
    }
    const running = this.#asked.get(key)
    if (running) return running
    const asked = find().then(facts => this.#keep(key, facts))
    this.#asked.set(key, asked)
    return asked.finally(() => this.#asked.delete(key))
  }

  #keep(key: string, facts: Facts): Facts {
    if (JSON.stringify(facts).length > charactersMax) return facts
    this.#kept.set(key, facts)
    if (this.#kept.size > keptMax) this.#kept.delete(this.#kept.keys().next().value!)
    return facts
  }
}
