import * as assert from 'uvu/assert'
import { DelayLine } from '../../scripts/bench/delay-line.ts'
import { suite } from '../support/suite.ts'

const test = suite('delay line')

for (const ms of [0.5, 1, 4]) {
  test(`what is given to a line of ${ms} ms comes out in order, and never early`, async () => {
    const line = new DelayLine(ms)
    const out: { readonly number: number; readonly tookMs: number }[] = []
    const { promise, resolve } = Promise.withResolvers<void>()
    for (let number = 0; number < 20; number++) {
      const from = performance.now()
      line.add(() => {
        out.push({ number, tookMs: performance.now() - from })
        if (number === 19) resolve()
      })
      await new Promise(setImmediate)
    }
    await promise
    assert.equal(
      out.map(({ number }) => number),
      Array.from({ length: 20 }, (_, number) => number),
    )
    assert.equal(
      out.filter(({ tookMs }) => tookMs < ms),
      [],
    )
  })
}

test.run()
