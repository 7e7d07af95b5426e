/** What is known of the primary: where it was, and from where on a replica is new enough. */
import * as assert from 'uvu/assert'
import { formatPosition, laterOf, parsePosition, UNKNOWN_POSITION } from '../../source/database/wal-position.ts'
import { positionOf } from '../../source/database/postgres/commit-position.ts'
import { PrimarySamples } from '../../source/database/postgres/primary-samples.ts'
import { suite } from '../support/suite.ts'

const test = suite('positions and samples of the primary')

const MAX_LAG_MS = 10_000

/** One a second, with as much written in each. */
function sampled(seconds: number): PrimarySamples {
  const samples = new PrimarySamples(MAX_LAG_MS)
  for (let second = 0; second <= seconds; second++) samples.add(second * 1000, BigInt(second), BigInt(second))
  return samples
}

test('a position is read and written as PostgreSQL writes it', () => {
  for (const text of ['0/0', '0/1802000', '16/B374D848', 'FFFFFFFF/FFFFFFFF'])
    assert.is(formatPosition(parsePosition(text)!), text)
  for (const text of ['', '0', '0/', '/0', '0/g', '0/123456789', '0/1 ', 'a/b', undefined, null, 5])
    assert.is(parsePosition(text), undefined)
  assert.ok(parsePosition('1/0')! > parsePosition('0/FFFFFFFF')!)
  assert.is(laterOf(1n, UNKNOWN_POSITION), UNKNOWN_POSITION)
  assert.ok(UNKNOWN_POSITION > parsePosition('FFFFFFFF/FFFFFFFF')!)
})

test('a position behind the header of a page is the end of the page before, where pages are of that size', () => {
  assert.is(positionOf({ position: '0/1802018', page: '8192' }), parsePosition('0/1802000'))
  assert.is(positionOf({ position: '0/1802018', page: '16384' }), parsePosition('0/1802018'))
  assert.is(positionOf({ position: '0/1802020', page: '8192' }), parsePosition('0/1802020'))
})

test('the floor is where the primary was at most maxLagMs ago', () => {
  const samples = sampled(30)
  assert.is(samples.floor(30_000), 20n)
  assert.is(samples.floor(30_001), 21n)
  assert.is(samples.floor(30_999), 21n)
  assert.is(samples.returning(30_000), 25n)
})

test('the floor is the first sample, while there is none so old', () => {
  assert.is(sampled(0).floor(500), 0n)
  assert.is(sampled(3).floor(3000), 0n)
})

test('the floor stays the last sample, where the primary cannot be asked', () => {
  assert.is(sampled(30).floor(600_000), 30n)
})

test('a position below the one before begins a new history', () => {
  const samples = sampled(30)
  samples.add(31_000, 7n, 8n)
  assert.is(samples.floor(31_000), 7n)
  assert.is(samples.newest, 8n)
})

test('what exists is known from commits as well, and ends with its history', () => {
  const samples = sampled(1)
  samples.noteExisting(99n)
  assert.is(samples.newest, 99n)
  samples.clear()
  assert.is(samples.newest, undefined)
})

test('a long time leaves no more samples than are needed', () => {
  const samples = sampled(5000)
  assert.is(samples.timeOf(4000n), undefined)
  assert.is(samples.timeOf(4990n), 4_990_000)
  assert.is(samples.floor(5_000_000), 4990n)
})

test.run()
