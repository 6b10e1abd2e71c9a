// What the dialect's routes share: the kit and what was opened with it.

import type { Serial } from '../../core/serial.ts'
import type { Kit } from '../dialect.ts'
import type { Identity } from './identity.ts'
import type { KeyDroppings } from './kv-drop.ts'
import type { Links } from './links.ts'
import type { Seals } from './seals.ts'
import type { Settings } from './settings.ts'
import type { Specs } from './spec.ts'
import type { Stored } from './stored.ts'

export interface Parts {
  readonly kit: Kit
  readonly settings: Settings
  readonly identity: Identity
  readonly links: Links
  readonly seals: Seals
  readonly specs: Specs
  /** For "look, then write" on stored things. */
  readonly serial: Serial
  readonly stored: Stored
  readonly droppings: KeyDroppings
}
