// How commands fail: one sentence on stderr and an exit code that scripts can tell apart (docs/reference/cli.md).

export const exitCodes = {
  ok: 0,
  /** It was tried and did not work. */
  failed: 1,
  /** The command line, or the configuration, cannot be understood. */
  usage: 2,
  /** There is no such thing. */
  notFound: 3,
  /** Credentials are missing, not valid, or not enough. */
  denied: 4,
  /** No server answers. */
  unreachable: 5,
} as const

/** The end of a command that did not do what it was asked. */
export class CommandFailed extends Error {
  readonly exitCode: number
  constructor(text: string, exitCode: number = exitCodes.failed) {
    super(text)
    this.name = 'CommandFailed'
    this.exitCode = exitCode
  }
}
