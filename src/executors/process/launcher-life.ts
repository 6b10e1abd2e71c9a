// The launcher as long as a spawner is open: started, replaced when it was killed, and let go.

import { type KeeperNews, type LauncherLink, type LauncherOptions, startLauncher } from './launcher-link.ts'

const triesMax = 3
/** A launcher that did not live longer is replaced with less haste. */
const lifeMsMin = 1000

/** What a launcher's life is made with. */
export interface LauncherLifeOptions extends Omit<LauncherOptions, 'onNews' | 'onGone'> {
  onNews(news: readonly KeeperNews[]): void
  /** Another launcher has taken the place of one that was killed: what that had not started is to be sent again. */
  onReplaced(): void
  /** None could be started in its place; the next order tries again. */
  onFailed(problem: string): void
}

/** One launcher at a time, and always one until it is closed or none can be started. */
export class LauncherLife {
  readonly #options: LauncherLifeOptions
  #link: LauncherLink | undefined
  #state: 'closed' | 'open' | 'starting' = 'closed'
  #startedAt = 0

  constructor(options: LauncherLifeOptions) {
    this.#options = options
  }

  /** Throws when the launcher cannot be started or another server uses the folder. */
  async open(): Promise<void> {
    try {
      await this.#start()
    } catch (error) {
      this.#state = 'closed'
      throw error
    }
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** The process id of the launcher, for those who watch it. */
  get pid(): number | undefined {
    return this.#link?.pid
  }

  /** Hands frames over; while a launcher is being started they are dropped, and asked for again by `onReplaced`. */
  send(frames: readonly Buffer[]): void {
    if (frames.length === 0) return
    if (this.#link) this.#link.send(frames)
    else this.#replace()
  }

  /** Lets the launcher go; keepers stay. */
  async close(): Promise<void> {
    this.#state = 'closed'
    await this.#link?.close()
    this.#link = undefined
  }

  async #start(): Promise<void> {
    this.#state = 'starting'
    const link = await startLauncher({
      ...this.#options,
      onNews: news => this.#options.onNews(news),
      onGone: () => {
        this.#link = undefined
        this.#replace()
      },
    })
    // The await has let others run: it may have been closed meanwhile.
    if (this.isClosed) return link.close()
    this.#link = link
    this.#startedAt = performance.now()
    this.#state = 'open'
  }

  #replace(): void {
    if (this.#state !== 'open') return
    const livedMs = performance.now() - this.#startedAt
    if (livedMs >= lifeMsMin) {
      this.#tryToReplace(1)
      return
    }
    this.#state = 'starting'
    setTimeout(() => this.#tryToReplace(1), lifeMsMin - livedMs)
  }

  #tryToReplace(tries: number): void {
    if (this.isClosed) return
    this.#start().then(
      () => {
        if (this.#state === 'open') this.#options.onReplaced()
      },
      (error: Error) => {
        if (this.isClosed) return
        if (tries < triesMax) {
          setTimeout(() => this.#tryToReplace(tries + 1), 200 * tries)
          return
        }
        this.#state = 'open'
        this.#options.onFailed(error.message)
      },
    )
  }
}
