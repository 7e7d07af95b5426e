/** What the programs of scripts/truth.ts consist of: a kind of step that is never dealt would find nothing. */
import * as assert from 'uvu/assert'
import { generate } from '../../scripts/truth/generate.ts'
import { ENDINGS, everyStep, HIDDEN_WRITES, LEFTOVERS, READS, WRITES } from '../../scripts/truth/program.ts'
import { WEIGHTS } from '../../scripts/truth/weights.ts'
import { DIALECTS } from '../support/orms.ts'
import { suite } from '../support/suite.ts'

const test = suite('programs of truth')
const PROGRAMS = 1000

for (const dialect of DIALECTS) {
  test(`every kind of step is dealt (${dialect})`, () => {
    const dealt = new Set<string>()
    for (let index = 0; index < PROGRAMS; index++) {
      for (const step of everyStep(generate(1, index, dialect).steps)) {
        dealt.add(step.do)
        if ('how' in step) dealt.add(`${step.do}: ${step.how}`)
        if ('asks' in step && step.asks !== undefined) dealt.add(`${step.do} ${Object.keys(step.asks).join()}`)
      }
    }
    const asked = ['isolationLevel', 'readOnly', 'isolationLevel,readOnly']
    const wanted = [
      ...Object.keys(WEIGHTS).filter((kind) => dialect === 'postgresql' || !['kill', 'leave behind'].includes(kind)),
      ...[...WRITES, ...HIDDEN_WRITES[dialect]].map((how) => `write: ${how}`),
      ...READS.map((how) => `read: ${how}`),
      ...ENDINGS[dialect].map((how) => `ending: ${how}`),
      ...(dialect === 'postgresql' ? LEFTOVERS : []).map((how) => `leave behind: ${how}`),
      ...['scope', 'own begin'].flatMap((kind) => asked.map((what) => `${kind} ${what}`)),
    ]
    assert.equal(
      wanted.filter((each) => !dealt.has(each)),
      [],
    )
  })
}

test('a program is the same each time', () => {
  for (let index = 0; index < 50; index++) assert.equal(generate(7, index, 'both'), generate(7, index, 'both'))
})

test.run()
