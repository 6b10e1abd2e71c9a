import assert from 'node:assert/strict'
import { test } from 'vitest'
import { answerTo, chooseSyntax, type Services } from './negotiate.ts'
import { type AssociateRq, readPdu, writePdu } from './pdu.ts'
import { isService, sopClasses, storageClasses } from './sop-classes.ts'
import { aRequest } from './testing/pair.ts'

const [implicit, explicit, jpeg, rle] = [
  '1.2.840.10008.1.2',
  '1.2.840.10008.1.2.1',
  '1.2.840.10008.1.2.4.50',
  '1.2.840.10008.1.2.5',
]
const user = { pduBytesMax: 16_384, implementationClass: '1.2', implementationVersion: 'V' }
const services: Services = {
  serves: uid => uid === '1.2.3',
  syntaxesFor: () => [implicit!, explicit!, jpeg!, rle!],
  givesRole: () => true,
  operationsMax: 16,
}

test('explicit little endian is chosen before implicit, and that before our own order of the rest', () => {
  assert.equal(chooseSyntax([jpeg!, implicit!, explicit!], services.syntaxesFor('')), explicit)
  assert.equal(chooseSyntax([jpeg!, implicit!], services.syntaxesFor('')), implicit)
  assert.equal(chooseSyntax([rle!, jpeg!], services.syntaxesFor('')), jpeg)
  assert.equal(chooseSyntax(['1.2.3.4'], services.syntaxesFor('')), undefined)
})

test('each context is answered: accepted, its class unknown, or its syntaxes', () => {
  const proposed = [
    { id: 1, abstractSyntax: '1.2.3', transferSyntaxes: [jpeg!] },
    { id: 3, abstractSyntax: '9.9', transferSyntaxes: [explicit!] },
    { id: 5, abstractSyntax: '1.2.3', transferSyntaxes: ['1.2.3.4'] },
    { id: 7, abstractSyntax: '1.2.3', transferSyntaxes: [] },
  ]
  const request = {
    type: 'rq',
    protocolVersion: 1,
    applicationContext: '',
    ...aRequest(proposed),
  } as AssociateRq
  assert.deepEqual(
    answerTo(request, services, user).contexts.map(({ id, result }) => [id, result]),
    [
      [1, 0],
      [3, 3],
      [5, 4],
      [7, 4],
    ],
  )
})

test('roles that a caller asks for are given', () => {
  const roles = [{ sopClass: '1.2.3', isScu: false, isScp: true }]
  const request = {
    type: 'rq',
    protocolVersion: 1,
    applicationContext: '',
    ...aRequest([], { roles }),
  } as AssociateRq
  assert.deepEqual(answerTo(request, services, user).user.roles, roles)
})

test('so many operations at a time are given as are asked for, and no more than we take', () => {
  const answers = [
    [undefined, undefined],
    [
      { invoked: 8, performed: 4 },
      { invoked: 8, performed: 1 },
    ],
    [
      { invoked: 1, performed: 0 },
      { invoked: 1, performed: 1 },
    ],
    [
      { invoked: 0, performed: 0 },
      { invoked: 16, performed: 1 },
    ],
    [
      { invoked: 99, performed: 1 },
      { invoked: 16, performed: 1 },
    ],
  ] as const
  for (const [asked, given] of answers) {
    const { user: information, ...rest } = aRequest()
    const request: AssociateRq = {
      ...{ type: 'rq', protocolVersion: 1, applicationContext: '' },
      ...{ ...rest, user: { ...information, ...(asked && { window: asked }) } },
    }
    const written = readPdu(1, writePdu(request).subarray(6)) as AssociateRq
    assert.deepEqual(written.user, request.user)
    assert.deepEqual(answerTo(written, services, user).user.window, given)
  }
})

test('a class is a service or one of instances, never both', () => {
  for (const uid of Object.values(sopClasses)) assert.ok(isService(uid) && !storageClasses.has(uid))
  assert.equal(storageClasses.size, 183)
})
