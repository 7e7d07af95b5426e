import * as assert from 'uvu/assert'
import { summarize } from '../../scripts/bench/profile-summary.ts'
import { suite } from '../support/suite.ts'

const test = suite('profile summary')

const node = (id: number, functionName: string, url: string, children: number[] = []) => ({
  id,
  children,
  callFrame: { functionName, url, scriptId: '0', lineNumber: 0, columnNumber: 0 },
})

/** idle 40, pg 10, of which it has Node write 20. */
const profile = {
  startTime: 0,
  endTime: 70,
  nodes: [
    node(1, '(root)', '', [2, 3]),
    node(2, '(idle)', ''),
    node(3, 'query', 'file:///app/node_modules/pg/lib/client.js', [4]),
    node(4, 'write', 'node:net', [5]),
    node(5, 'writeBuffer', ''),
  ],
  samples: [2, 3, 4, 5, 2],
  timeDeltas: [0, 40, 10, 15, 5],
}

test('time goes to the package it was spent in, for each request, and idle time to none', () => {
  const { micros, packages } = summarize(profile, 2)
  assert.is(micros, 15)
  assert.equal(packages, [
    { name: 'node', micros: 7.5 },
    { name: 'pg', micros: 5 },
    { name: 'native', micros: 2.5 },
  ])
})

test('what Node does goes to the package that has it done', () => {
  assert.equal(summarize(profile, 2).callers, [{ name: 'pg', micros: 15 }])
})

test.run()
