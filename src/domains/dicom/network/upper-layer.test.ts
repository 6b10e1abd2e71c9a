import assert from 'node:assert/strict'
import { test } from 'vitest'
import { decideMove, type Happening, type State, states } from './upper-layer.ts'

const pdus: readonly Happening[] = ['ac', 'rj', 'rq', 'data', 'release-rq', 'release-rp', 'abort', 'invalid']
const withTransport = states.filter(state => state !== 'idle' && state !== 'connecting')

test('whatever a peer sends has an answer in every state with a connection', () => {
  for (const state of withTransport) {
    for (const happening of [...pdus, 'closed'] as const) {
      assert.ok(decideMove(state, happening), `${happening} while ${state}`)
    }
  }
})

test('whatever happens, a closed connection leaves nothing behind', () => {
  for (const state of withTransport) assert.equal(decideMove(state, 'closed')?.next, 'idle')
})

test('an open association can be aborted from every state, and then only waits for its end', () => {
  const abortable = withTransport.filter(state => state !== 'awaiting-rq' && state !== 'closing')
  for (const state of abortable) {
    assert.deepEqual(decideMove(state, 'abort-wish'), { action: 'AA-1', next: 'closing' })
  }
})

const walks: readonly [string, State, readonly (readonly [Happening, State])[]][] = [
  [
    'a request that is accepted, and released by the peer',
    'idle',
    [
      ['accepted-transport', 'awaiting-rq'],
      ['rq', 'awaiting-answer'],
      ['accept-wish', 'open'],
      ['data', 'open'],
      ['release-rq', 'release-asked'],
      ['data-wish', 'release-asked'],
      ['release-answer', 'closing'],
      ['closed', 'idle'],
    ],
  ],
  [
    'an association that we ask for and release',
    'idle',
    [
      ['associate-wish', 'connecting'],
      ['connected', 'awaiting-ac'],
      ['ac', 'open'],
      ['data-wish', 'open'],
      ['release-wish', 'awaiting-rp'],
      ['data', 'awaiting-rp'],
      ['release-rp', 'idle'],
    ],
  ],
  [
    'a request that is rejected, by a peer that is slow to hang up',
    'awaiting-answer',
    [
      ['reject-wish', 'closing'],
      ['data', 'closing'],
      ['rq', 'closing'],
      ['artim', 'idle'],
    ],
  ],
]

test.each(walks)('%s', (_, from, steps) => {
  let state = from
  for (const [happening, next] of steps) {
    const move = decideMove(state, happening)
    assert.equal(move?.next, next, `${happening} while ${state}`)
    state = next
  }
})

test('when both ask for release, the one that asked for the association answers first', () => {
  const asked = decideMove('awaiting-rp', 'release-rq', { isRequestor: true })!
  assert.equal(asked.next, 'collision-requestor')
  assert.equal(decideMove(asked.next, 'release-answer')?.next, 'collision-requestor-rp')
  assert.equal(decideMove('collision-requestor-rp', 'release-rp')?.next, 'idle')
  const answered = decideMove('awaiting-rp', 'release-rq', { isRequestor: false })!
  assert.equal(answered.next, 'collision-acceptor')
  assert.equal(decideMove(answered.next, 'release-rp')?.next, 'collision-acceptor-answer')
  assert.equal(decideMove('collision-acceptor-answer', 'release-answer')?.next, 'closing')
})

test('a request that cannot be put before anybody is turned away at once', () => {
  assert.deepEqual(decideMove('awaiting-rq', 'rq', { isAcceptable: false }), {
    action: 'AE-6',
    next: 'closing',
  })
})

test('nothing is sent before an association is open, nor after', () => {
  for (const state of states.filter(name => name !== 'open' && name !== 'release-asked'))
    assert.equal(decideMove(state, 'data-wish'), undefined)
})
