// Structured logs: one JSON line each on stderr, without anything secret.

import {
  type DestinationStream,
  destination,
  type Logger,
  pino,
  stdSerializers,
  stdTimeFunctions,
} from 'pino'

/** The product's logger. Stdout is left to the `ready` line. */
export function makeLog(level: string, to: DestinationStream = destination({ dest: 2, sync: true })): Logger {
  return pino(
    {
      level,
      base: { name: 'switchyard' },
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { err: stdSerializers.err },
      redact: {
        paths: secretNames.flatMap(name => [name, `*.${name}`, `*.*.${name}`]),
        censor: '***',
      },
    },
    to,
  )
}

const secretNames = ['token', 'password', 'passwordHash', 'secret', 'authorization', 'cookie', 'ECF_PASS']
