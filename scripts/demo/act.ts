// What a piece of the demo is: one dialect showing one thing for real.

/** What the acts share: a running server, and who may use it. */
export interface Stage {
  readonly url: string
  /** The admin token. */
  readonly token: string
  readonly dataDir: string
  /** A folder for files of the demo's own. */
  readonly workDir: string
  /** Runs `bin/switchyard` with these words; gives its stdout, throws with its stderr when it fails. */
  readonly cli: (...words: string[]) => Promise<string>
  /** The name of an image that was imported from the machine's own busybox; undefined when there is none. */
  readonly image: string | undefined
}

/** A line of the closing table. */
export interface Row {
  readonly dialect: string
  readonly what: string
  /** How it ended, in the dialect's own word. */
  readonly state: string
  /** What it printed or made, short. */
  readonly result: string
  /** Where to look at it. */
  readonly address: string
}

export interface Act {
  readonly title: string
  play(stage: Stage): Promise<Row[]>
}

/** Asks the server and reads JSON; throws with the answer's text when it is not a success. */
export async function ask(
  stage: Stage,
  path: string,
  init: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<unknown> {
  const response = await fetch(stage.url + path, {
    method: init.method ?? (init.body === undefined ? 'GET' : 'POST'),
    headers: {
      authorization: `Bearer ${stage.token}`,
      ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...init.headers,
    },
    ...(init.body === undefined ? {} : { body: JSON.stringify(init.body) }),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`${init.method ?? 'GET'} ${path}: ${response.status} ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}

/** Asks again until the answer satisfies; throws after the time-out. */
export async function until<T>(
  look: () => Promise<T>,
  satisfied: (value: T) => boolean,
  timeoutMs = 60_000,
): Promise<T> {
  const end = Date.now() + timeoutMs
  for (;;) {
    const value = await look()
    if (satisfied(value)) return value
    if (Date.now() > end)
      throw new Error(
        `it took longer than ${timeoutMs / 1000} s; last seen: ${JSON.stringify(value).slice(0, 300)}`,
      )
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}
