// What dialects bring for kinds of jobs of their own. A kind is a word that submitters of another dialect may use as
// well: what was brought is for the jobs of its own dialect alone, since it may add secrets, or write records.

export class KindTable<T> {
  readonly #byKind = new Map<string, Map<string, T>>()

  set(dialect: string, kind: string, value: T): void {
    const known = this.#byKind.get(kind)
    if (known === undefined) this.#byKind.set(kind, new Map([[dialect, value]]))
    else known.set(dialect, value)
  }

  /** What this job's own dialect brought for its kind. */
  of({ dialect, kind }: { readonly dialect: string; readonly kind: string }): T | undefined {
    return this.#byKind.get(kind)?.get(dialect)
  }
}
