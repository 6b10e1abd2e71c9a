// Bodies for dialects whose originals do not care what a client calls them: any media type, or none, is taken, and an
// empty body is an empty body.

import type { FastifyInstance } from 'fastify'

/**
 * Makes a scope take every body, whatever its Content-Type. `bytes`: request.body is a Buffer, bounded by the route's
 * bodyLimit. `stream`: request.body is the stream itself, and whoever reads it counts. Without a body it is undefined.
 */
export function takeAnyBody(scope: FastifyInstance, as: 'bytes' | 'stream'): void {
  scope.removeAllContentTypeParsers()
  // A type that cannot be parsed would never reach a parser. What was sent is still in request.raw.rawHeaders.
  scope.addHook('onRequest', (request, _reply, done) => {
    const type = request.headers['content-type']
    if (type !== undefined && type !== 'application/json' && !parseable.test(type))
      request.headers['content-type'] = 'application/octet-stream'
    done()
  })
  if (as === 'stream') {
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  } else {
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body.length === 0 ? undefined : body),
    )
  }
}

const parseable = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(;|$)/

/** The media type of a request's body without its parameters, in lower case; empty when none is given. */
export function mediaTypeOf(header: string | undefined): string {
  return (header ?? '').split(';', 1)[0]!.trim().toLowerCase()
}
