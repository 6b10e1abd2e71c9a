import { expect, test } from 'vitest'
import { parseDefinition } from '../language/parse-definition.ts'
import { findNode } from '../tree/find.ts'
import { Node } from '../tree/node.ts'
import type { ScriptFiles } from './find-script.ts'
import { makeJob } from './make-job.ts'
import { substitute } from './substitute.ts'

function task(lines = ''): Node {
  const root = new Node('root', '')
  root.serverVariables = [
    { name: 'ECF_HOME', value: '/home' },
    { name: 'ECF_MICRO', value: '%' },
  ]
  for (const node of parseDefinition(`suite s\n family f\n  task t\n${lines}`).nodes) root.add(node)
  const node = findNode(root, '/s/f/t')!
  node.run = { tryNumber: 1, password: 'secret', remoteId: '', abortReason: '' }
  return node
}

function files(content: Record<string, string>): ScriptFiles {
  return {
    read: async path => content[path],
    isFolder: async () => true,
    output: async command => `printed by ${command}`,
  }
}

test('blocks are left out and variables replaced, as on the real server', async () => {
  const script =
    '#!/bin/sh\n%manual\nx %UNKNOWN%\n%end\necho hello %ECF_NAME% try %ECF_TRYNO% colour %COLOUR:blue%\n'
  expect(await makeJob(task(), files({ '/home/s/f/t.ecf': script }))).toBe(
    '#!/bin/sh\necho hello /s/f/t try 1 colour blue',
  )
})

test('includes are found in ECF_INCLUDE, relative to the script, and once only when asked', async () => {
  const job = await makeJob(
    task("   edit ECF_INCLUDE '/inc:/more'\n   edit WHAT deep\n"),
    files({
      '/home/s/f/t.ecf': '%include <head.h>\n%includeonce <head.h>\n%include "./near.h"\n%include </abs.h>\n',
      '/inc/head.h': 'head %WHAT%',
      '/home/s/f/./near.h': '%includenopp <raw.h>',
      '/more/raw.h': 'raw %WHAT% %%',
      '/abs.h': '100%%',
    }),
  )
  expect(job).toBe('head deep\nraw %WHAT% %%\n100%')
})

test('within nopp an end closes a comment first, and what is left out includes nothing', async () => {
  const script = '%nopp\n%comment\n%A%\n%end\n%include <x>\n%end\n%manual\n%include <missing>\n%end\nlast\n'
  expect(await makeJob(task(), files({ '/home/s/f/t.ecf': script }))).toBe(
    '%comment\n%A%\n%end\n%include <x>\nlast',
  )
})

test('quoted includes are relative to the script, also within an included file', async () => {
  const job = await makeJob(
    task("   edit ECF_INCLUDE '/inc'\n"),
    files({
      '/home/s/f/t.ecf': '%include <deep/head.h>\n',
      '/inc/deep/head.h': '%include "./near.h"\n%include "../up.h"\n%include "here.h"\n%include /bare.h\n',
      '/home/s/f/./near.h': 'near',
      '/home/s/f/../up.h': 'up',
      '/home/s/f/here.h': 'here',
      '/bare.h': 'bare',
    }),
  )
  expect(job).toBe('near\nup\nhere\nbare')
})

test('an unknown variable deep within includes is told with the line of its own file', async () => {
  const of = {
    '/home/s/f/t.ecf': 'a\n%include <one.h>',
    '/home/one.h': '\n%include <two.h>',
    '/home/two.h': 'x\ny %NO%',
  }
  await expect(makeJob(task(), files(of))).rejects.toThrow(
    "Variable 'NO' is not defined in 'y %NO%' (/home/two.h:2)",
  )
})

test.each([
  ["edit ECF_FETCH 'fetch %TASK%'\n   edit ECF_EXTN .job", 'printed by fetch t -s t.job'],
  ["edit ECF_SCRIPT_CMD 'cat %ECF_NAME%'", 'printed by cat /s/f/t'],
  ["edit ECF_FETCH 'fetch'\n   edit ECF_SCRIPT_CMD 'cat'", 'printed by fetch -s t.ecf'],
])('a script may come from a command: %s', async (lines, job) => {
  expect(await makeJob(task(`   ${lines}\n`), files({}))).toBe(job)
  // A file that ECF_SCRIPT names comes first.
  expect(await makeJob(task(`   ${lines}\n`), files({ '/home/s/f/t.ecf': 'own' }))).toBe('own')
})

test('a nopp block is kept as it is, and another micro character holds from the next line on', async () => {
  const script = '%nopp\n%include <x>\n%A%\n%end\n%ecfmicro $\n$A$ %A%\n'
  expect(await makeJob(task('   edit A 1\n'), files({ '/home/s/f/t.ecf': script }))).toBe(
    '%include <x>\n%A%\n1 %A%',
  )
})

test.each([
  [
    'an unknown variable',
    'a\necho %MISSING%',
    "Variable 'MISSING' is not defined in 'echo %MISSING%' (/home/s/f/t.ecf:2)",
  ],
  ['an odd micro', 'echo 100%', "An odd number of % in 'echo 100%' (/home/s/f/t.ecf:1)"],
  ['a missing include', '%include <no.h>', 'Included file no.h is in none of /home (/home/s/f/t.ecf:1)'],
  ['a block without end', '%manual\nx', 'manual without an end (/home/s/f/t.ecf:1)'],
  ['an end without a block', '%end', 'end without a block (/home/s/f/t.ecf:1)'],
  [
    'an include of itself',
    '%include </home/s/f/t.ecf>',
    'Includes are nested more than 50 deep at /home/s/f/t.ecf',
  ],
])('%s is refused with file and line', async (_what, script, text) => {
  await expect(makeJob(task(), files({ '/home/s/f/t.ecf': script }))).rejects.toThrow(text)
})

test('a missing script says where it was looked for', async () => {
  await expect(makeJob(task(), files({}))).rejects.toThrow(
    'Script for /s/f/t cannot be found: ECF_SCRIPT(/home/s/f/t.ecf) does not exist',
  )
})

test('values are substituted again, and a circle is found', () => {
  const node = task("   edit A '%B%'\n   edit B '%C:%'\n   edit L '%L%'\n")
  expect(substitute(node, '[%A%]')).toBe('[]')
  expect(() => substitute(node, '%L%')).toThrow('Variables refer to each other for ever')
})
