// The upper layer's state machine: what to do when something happens to an association, and where that leads.
// DICOM PS3.8 §9.2, table 9-10, cell by cell. Only this table decides; association.ts carries out the actions.

/** Sta1 to Sta13 of the standard, by what they wait for. */
export type State =
  | 'idle' // Sta1
  | 'awaiting-rq' // Sta2, transport open
  | 'awaiting-answer' // Sta3, the local user decides on a request
  | 'connecting' // Sta4
  | 'awaiting-ac' // Sta5
  | 'open' // Sta6
  | 'awaiting-rp' // Sta7, we asked for release
  | 'release-asked' // Sta8, the peer asked
  | 'collision-requestor' // Sta9, both asked; the local user answers
  | 'collision-acceptor' // Sta10, both asked; the peer answers first
  | 'collision-requestor-rp' // Sta11
  | 'collision-acceptor-answer' // Sta12
  | 'closing' // Sta13, waiting for the transport to close

export const states = [
  ...['idle', 'awaiting-rq', 'awaiting-answer', 'connecting', 'awaiting-ac', 'open', 'awaiting-rp'],
  ...['release-asked', 'collision-requestor', 'collision-acceptor', 'collision-requestor-rp'],
  ...['collision-acceptor-answer', 'closing'],
] as readonly State[]

/** What happens: PDUs that arrive, wishes of the local user, and news of the transport and its timer. */
export type Happening =
  | 'associate-wish' // Evt1
  | 'connected' // Evt2
  | 'ac' // Evt3
  | 'rj' // Evt4
  | 'accepted-transport' // Evt5
  | 'rq' // Evt6
  | 'accept-wish' // Evt7
  | 'reject-wish' // Evt8
  | 'data-wish' // Evt9
  | 'data' // Evt10
  | 'release-wish' // Evt11
  | 'release-rq' // Evt12
  | 'release-rp' // Evt13
  | 'release-answer' // Evt14
  | 'abort-wish' // Evt15
  | 'abort' // Evt16
  | 'closed' // Evt17
  | 'artim' // Evt18
  | 'invalid' // Evt19

export type Action =
  | `AE-${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8}`
  | `DT-${1 | 2}`
  | `AR-${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10}`
  | `AA-${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8}`

// The columns of the standard's table: Sta1 … Sta13. A dash is a combination that cannot be.
const table: Readonly<Record<Happening, string>> = {
  //                     1     2     3     4     5     6     7     8     9     10     11    12    13
  'associate-wish': '    AE-1  -     -     -     -     -     -     -     -     -      -     -     -',
  connected: '           -     -     -     AE-2  -     -     -     -     -     -      -     -     -',
  ac: '                  -     AA-1  AA-8  -     AE-3  AA-8  AA-8  AA-8  AA-8  AA-8   AA-8  AA-8  AA-6',
  rj: '                  -     AA-1  AA-8  -     AE-4  AA-8  AA-8  AA-8  AA-8  AA-8   AA-8  AA-8  AA-6',
  'accepted-transport': 'AE-5  -     -     -     -     -     -     -     -     -      -     -     -',
  rq: '                  -     AE-6  AA-8  -     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8   AA-8  AA-8  AA-7',
  'accept-wish': '       -     -     AE-7  -     -     -     -     -     -     -      -     -     -',
  'reject-wish': '       -     -     AE-8  -     -     -     -     -     -     -      -     -     -',
  'data-wish': '         -     -     -     -     -     DT-1  -     AR-7  -     -      -     -     -',
  data: '                -     AA-1  AA-8  -     AA-8  DT-2  AR-6  AA-8  AA-8  AA-8   AA-8  AA-8  AA-6',
  'release-wish': '      -     -     -     -     -     AR-1  -     -     -     -      -     -     -',
  'release-rq': '        -     AA-1  AA-8  -     AA-8  AR-2  AR-8  AA-8  AA-8  AA-8   AA-8  AA-8  AA-6',
  'release-rp': '        -     AA-1  AA-8  -     AA-8  AA-8  AR-3  AA-8  AA-8  AR-10  AR-3  AA-8  AA-6',
  'release-answer': '    -     -     -     -     -     -     -     AR-4  AR-9  -      -     AR-4  -',
  'abort-wish': '        -     -     AA-1  AA-2  AA-1  AA-1  AA-1  AA-1  AA-1  AA-1   AA-1  AA-1  -',
  abort: '               -     AA-2  AA-3  -     AA-3  AA-3  AA-3  AA-3  AA-3  AA-3   AA-3  AA-3  AA-2',
  closed: '              -     AA-5  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4  AA-4   AA-4  AA-4  AR-5',
  artim: '               -     AA-2  -     -     -     -     -     -     -     -      -     -     AA-2',
  invalid: '             -     AA-1  AA-8  -     AA-8  AA-8  AA-8  AA-8  AA-8  AA-8   AA-8  AA-8  AA-7',
}

/** Where an action leads. AE-6 and AR-8 have two ends, which the caller's facts decide. */
const ends: Readonly<Record<Action, State | readonly [yes: State, no: State]>> = {
  'AE-1': 'connecting',
  'AE-2': 'awaiting-ac',
  'AE-3': 'open',
  'AE-4': 'idle',
  'AE-5': 'awaiting-rq',
  'AE-6': ['awaiting-answer', 'closing'],
  'AE-7': 'open',
  'AE-8': 'closing',
  'DT-1': 'open',
  'DT-2': 'open',
  'AR-1': 'awaiting-rp',
  'AR-2': 'release-asked',
  'AR-3': 'idle',
  'AR-4': 'closing',
  'AR-5': 'idle',
  'AR-6': 'awaiting-rp',
  'AR-7': 'release-asked',
  'AR-8': ['collision-requestor', 'collision-acceptor'],
  'AR-9': 'collision-requestor-rp',
  'AR-10': 'collision-acceptor-answer',
  'AA-1': 'closing',
  'AA-2': 'idle',
  'AA-3': 'idle',
  'AA-4': 'idle',
  'AA-5': 'idle',
  'AA-6': 'closing',
  'AA-7': 'closing',
  'AA-8': 'closing',
}

export interface Facts {
  /** AE-6: the request can be put before the local user at all. */
  readonly isAcceptable?: boolean
  /** AR-8: we asked for the association. */
  readonly isRequestor?: boolean
}

const cells = new Map(
  Object.entries(table).map(([happening, row]) => [happening as Happening, row.trim().split(/\s+/)]),
)

/** What is to be done, and the state after it; undefined for what cannot happen in this state. */
export function decideMove(
  state: State,
  happening: Happening,
  facts: Facts = {},
): { readonly action: Action; readonly next: State } | undefined {
  const cell = cells.get(happening)![states.indexOf(state)]
  if (cell === undefined || cell === '-') return undefined
  const action = cell as Action
  const end = ends[action]
  if (typeof end === 'string') return { action, next: end }
  const isYes = action === 'AE-6' ? facts.isAcceptable !== false : facts.isRequestor === true
  return { action, next: isYes ? end[0] : end[1] }
}
