// The bounds of the HTTP server, with the values they have unless configured.

export interface HttpLimits {
  /** The longest body that is read into memory, where a route sets no bound of its own. Streams are not counted. */
  readonly bodyBytes: number
  /** All header lines of a request together. */
  readonly headerBytes: number
  readonly connections: number
  /** From the first byte of a connection or request until its headers are there. */
  readonly headersMs: number
  /** Until the whole request, body included, is there. */
  readonly requestMs: number
  /** How long a connection may be silent in both directions while a request is being answered. */
  readonly silenceMs: number
  /** How long an idle connection is kept for the next request. */
  readonly keepAliveMs: number
  /** How long a stopping server waits for the requests in progress. */
  readonly drainMs: number
}

export const defaultLimits: HttpLimits = {
  bodyBytes: 16 * 1024 * 1024,
  headerBytes: 32 * 1024,
  connections: 10_000,
  headersMs: 20_000,
  requestMs: 600_000,
  // Long, because a synchronous request (an archive, say) is silent until its job has ended.
  silenceMs: 3_600_000,
  keepAliveMs: 72_000,
  drainMs: 10_000,
}
