import assert from 'node:assert/strict'
import { randomFillSync } from 'node:crypto'
import { test } from 'vitest'
import { makeTextSeal } from '../../sealed-text.ts'
import { keepPeer, openPeer, readPeer, showPeer, showPeerOfJob } from './peer.ts'

const sealOf = (byte: number) =>
  makeTextSeal(new Uint8Array(32).fill(byte), bytes => void randomFillSync(bytes))
const peer = readPeer({
  Url: 'https://there/',
  ...{ Username: 'alice', Password: 'pa$$word', CertificateKeyPassword: 'key-word' },
  ...{ HttpHeaders: { Authorization: 'Bearer token-word' }, Timeout: 5, RemoteSelf: 'us' },
})
const secrets = /pa\$\$word|key-word|token-word/

test('a peer comes back as it was put, and nothing that is kept or shown of it tells a secret', () => {
  const kept = JSON.stringify(keepPeer(peer, sealOf(1)))
  assert.doesNotMatch(kept, secrets)
  assert.deepEqual(openPeer(JSON.parse(kept), sealOf(1)), peer)
  assert.doesNotMatch(JSON.stringify([showPeer(peer), showPeerOfJob(peer)]), secrets)
})

test('a peer that was kept before there were seals is read, and one of another key is not', () => {
  const { url, username, password } = peer
  const simple = readPeer([url, username, password])
  assert.deepEqual(openPeer({ Url: url, Username: username, Password: password }, sealOf(1)), simple)
  assert.throws(() => openPeer(keepPeer(peer, sealOf(1)), sealOf(2)), /secrets\/orthanc-peers is another one/)
})

test('members that clients add for themselves are kept and shown', () => {
  const own = readPeer({
    Url: 'https://there/',
    Site: 'north',
    Rank: 7,
    Username: 'alice',
    Password: 'pa$$word',
  })
  const shown = showPeer(openPeer(keepPeer(own, sealOf(1)), sealOf(1)))
  assert.equal(shown['Site'], 'north')
  assert.equal('Rank' in shown, false)
  assert.equal(shown['Password'], null)
})
