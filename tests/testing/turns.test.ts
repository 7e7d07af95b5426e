/** Who has the connection of a sandbox, and who waits for it. */
import process from 'node:process'
import * as assert from 'uvu/assert'
import type { ConnectionUser } from '../../source/database/connection-waits.ts'
import { SandboxBusyError } from '../../source/testing/index.ts'
import { Turns } from '../../source/testing/sandbox/turns.ts'
import { rejection } from '../support/rejection.ts'
import { suite } from '../support/suite.ts'

const test = suite('turns in a sandbox')
const LONG_MS = 60_000

function user(name: string, around: Partial<ConnectionUser> = {}): ConnectionUser {
  const none = { startedIn: undefined, usedBy: undefined, running: undefined }
  return { name, number: 1, isBusy: false, steps: 0, ...none, ...around }
}

test('what was refused, having waited, does not get the turn later', async () => {
  const turns = new Turns(1)
  void turns.enter(user('first'), 'writer')
  const waiting = turns.enter(user('second'), 'writer')!
  assert.instance(await rejection(waiting), SandboxBusyError)
  turns.leave()
  assert.is(turns.enter(user('third'), 'writer'), undefined)
})

test('all that waits in one request gets the turn at the same time', async () => {
  const turns = new Turns(1000)
  const [outer, other] = [user('outer'), user('other')]
  void turns.enter(user('first'), 'writer')
  const waiting = [outer, other, user('inner', { startedIn: outer })].map((each) => turns.enter(each, 'writer'))
  turns.leave()
  await Promise.all([waiting[0], waiting[2]])
  turns.leave()
  turns.leave()
  await waiting[1]
})

test('a session inside of a request, and a run inside of it, have its turn', () => {
  const turns = new Turns(1)
  const request = user('request')
  const session = user('session', { usedBy: request })
  for (const each of [request, session, user('run', { startedIn: session })])
    assert.is(turns.enter(each, 'writer'), undefined, each.name)
})

test('no timer is left of what has waited', async () => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const turns = new Turns(LONG_MS)
  void turns.enter(undefined, 'writer')
  const waiting = turns.enter(user('second'), 'writer')
  assert.is(timers(), before + 1)
  turns.leave()
  await waiting
  assert.is(timers(), before)
})

test.run()
