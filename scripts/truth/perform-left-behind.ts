/** What would outlive its unit on the connection, and a look at what is there. */
import { raw, type SqlEntityManager } from '@mikro-orm/sql'
import { CONNECTION, type Found } from './connection-state.ts'
import { Note, Setting } from './entities.ts'
import type { StepOf } from './program.ts'
import type { Stage } from './stage.ts'

/** Texts that a role has to refuse which only reads, one statement alone. */
const NOT_ALONE = ['set', 'set local', 'set_config', 'set_config local', 'set role', 'cursor with hold']
/** Those that every role has to refuse which only reads. */
const NOT_BY_READERS = ['temporary table', 'lock', 'listen', 'prepare']

export async function leaveBehind(stage: Stage, step: StepOf<'leave behind'>): Promise<void> {
  const { role, how } = step
  const em = stage.em(role)
  const mark = `w${stage.name(step)}`
  const { readOnly } = stage.role(role)
  stage.unit.leftBehind.push({ role, mark: how.startsWith('view') ? 'by a view' : mark })
  // It may not write to the tables.
  if (how === 'set role') stage.unit.poisoned.add(role)
  await stage.ask(role, () => send(em, step, mark, mark.replace('.', '_')))
  const isWrong =
    (readOnly !== undefined && NOT_BY_READERS.includes(how)) || (readOnly === true && NOT_ALONE.includes(how))
  if (isWrong) stage.play.journal.lie('accepted by a reader', `${mark} in ${role}: ${how}`)
}

async function send(em: SqlEntityManager, step: StepOf<'leave behind'>, mark: string, name: string): Promise<unknown> {
  const number = Number(name.replace(/\D/g, ''))
  const once = (call: string): object => ({ text: 'taken', [raw(`(select ${call}) is not null`)]: [] })
  switch (step.how) {
    case 'set':
      return await em.execute(`set truth.mark = '${mark}'`)
    case 'set local':
      return await em.execute(`set local truth.mark = '${mark}'`)
    case 'set_config':
      return await em.execute(`select set_config('truth.mark', '${mark}', false)`)
    case 'set_config local':
      return await em.execute(`select set_config('truth.mark', '${mark}', true)`)
    case 'set role':
      return await em.execute('set role pg_monitor')
    case 'function that sets':
      return await em.execute(`select set_mark('${mark}')`)
    case 'find that sets':
      return await em.find(Note, once(`set_mark('${mark}')`))
    case 'view that sets':
      return await em.find(Setting, {})
    case 'procedure that sets':
      return await em.execute(`call set_mark_by_call('${mark}')`)
    case 'temporary table':
      return await em.execute(`create temporary table ${name} (x int)`)
    case 'function with a temporary table':
      return await em.execute(`select make_temporary('${name}')`)
    case 'lock':
      return await em.execute(`select pg_advisory_lock(${number})`)
    case 'function that locks':
      return await em.execute(`select lock_it(${number})`)
    case 'find that locks':
      return await em.find(Note, once(`lock_it(${number})`))
    case 'listen':
      return await em.execute('listen truth')
    case 'prepare':
      return await em.execute(`prepare ${name} as select 1`)
    case 'cursor with hold':
      return await em.execute(`declare ${name} cursor with hold for select 1`)
  }
}

/** A unit finds nothing on its connection but what it has left there itself. */
export async function readConnection(stage: Stage, role: StepOf<'read'>['role']): Promise<void> {
  const em = stage.em(role)
  if (stage.role(role).dialect !== 'postgresql') return void (await stage.ask(role, () => em.execute('select 1')))
  const [found] = await stage.ask(role, () => em.execute<Found[]>(CONNECTION))
  const own = stage.unit.leftBehind.filter((each) => each.role === role)
  const isOwn = found!.mark === null || own.some(({ mark }) => mark === found!.mark)
  if (isOwn && (found!.things === '' || own.length > 0)) return
  stage.play.journal.lie('left behind', `${role} finds on its connection: ${found!.mark ?? ''} ${found!.things}`)
}
