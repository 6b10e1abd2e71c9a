import { executorConformance } from '../conformance.ts'

const sh = (script: string, graceMs = 10_000) => ({ argv: ['sh', '-c', script], graceMs })

executorConformance({
  name: 'process',
  moduleUrl: new URL('./testing/sample-executor.ts', import.meta.url).href,
  samples: folder => ({
    succeeds: { argv: ['true'] },
    fails: { spec: sh('exit 7'), exitCode: 7 },
    runsLong: { argv: ['sleep', '300'] },
    ignoresAsking: sh('trap "" TERM; while :; do sleep 0.1; done', 200),
    prints: {
      spec: sh(`printf 'first line\\nsecond: %s\\n' żółw; until test -e ${folder}/go; do sleep 0.02; done`),
      stream: 'out',
      text: 'first line\nsecond: żółw\n',
      until: 'go',
    },
    marks: path => sh(`echo ran >>'${path}'`),
    impossible: { argv: [] },
    leavesProcess: path => sh(`setsid sh -c 'while :; do echo tick >>${path}; sleep 0.05; done' & sleep 300`),
  }),
})
