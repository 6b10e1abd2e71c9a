// What the handlers of this dialect share.

import type { Clock } from '../../core/clock.ts'
import type { Node } from '../../domains/suite/tree/node.ts'
import type { GateParts } from './gate.ts'
import type { Keeper } from './keeper.ts'
import type { Passwords } from './passwords.ts'
import type { OpenFolders } from './script-files.ts'
import type { Counters } from './server-calls.ts'
import type { Settings } from './settings.ts'
import type { Turns } from './turns.ts'

export interface Parts {
  readonly settings: Settings
  readonly keeper: Keeper
  readonly gate: GateParts
  /** The passwords of people who come under their login name; over HTTP nobody does, but the file can be checked. */
  readonly loginPasswords: Passwords
  readonly folders: OpenFolders
  /** What a command prints, for scripts that come from one. */
  readonly printed: (node: Node, command: string) => Promise<string>
  /** Edited scripts are submitted one at a time of a task. */
  readonly edits: Turns
  readonly clock: Clock
  readonly counters: Counters
  /** Counts one request of a kind, as the server's status shows it. */
  readonly count: (name: string) => void
  /** The server's local time, in minutes since 1970. */
  readonly localMinute: () => number
}
