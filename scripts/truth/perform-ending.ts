/** Statements that would end or leave their transaction, some with a fact in front. */
import { EndedByStatementError } from '../../source/index.ts'
import type { EndingHow, StepOf } from './program.ts'
import type { End, Write } from './record.ts'
import type { Stage } from './stage.ts'

/** PostgreSQL takes the backslash for one that escapes, where the text alone does not show it. */
const BACKSLASH = 'set local standard_conforming_strings = off'

const TEXTS: Readonly<Record<EndingHow, (mark: string) => string>> = {
  commit: () => 'commit',
  rollback: () => 'rollback',
  begin: () => 'begin',
  end: () => 'END',
  abort: () => 'Abort work',
  'commit and chain': () => 'commit and chain',
  'prepare transaction': (mark) => `prepare transaction '${mark}'`,
  'behind a comment': () => '/* select 1; */ -- select\n commit',
  'behind a nested comment': () => '/* /* select */ ; */ rollback',
  'behind a select': () => 'select 1; commit',
  'behind an insert': (mark) => `insert into fact (text) values ('${mark}'); commit`,
  'behind dollars': () => 'select $a$ $b$ ; $a$; commit; begin; select $b$ $b$',
  'behind a line': () => `select ';' -- '\n; rollback`,
  procedure: (mark) => `call add_and_commit('${mark}')`,
  do: (mark) => `do $x$ begin insert into fact (text) values ('${mark}'); commit; end $x$`,
  'backslash and commit': (mark) => `insert into fact (text) values ('${mark}'), ('\\''); commit; --')`,
  'backslash and rollback': (mark) => `insert into fact (text) values ('${mark}'), ('\\''); rollback; --')`,
  'backslash and another': (mark) => `insert into fact (text) values ('${mark}'), ('\\''); commit; begin; --')`,
}

export async function performEnding(stage: Stage, step: StepOf<'ending'>): Promise<void> {
  const { role: slot, how } = step
  const em = stage.em(slot)
  const role = stage.role(slot)
  const mark = `w${stage.name(step)}`
  if (how.startsWith('backslash')) await stage.ask(slot, () => em.execute(BACKSLASH))
  const sql = TEXTS[how](mark)
  const write = sql.includes(mark) && how !== 'prepare transaction' ? stage.cell(slot, 'fact', mark) : undefined
  const writes = write === undefined ? [] : [stage.write(step, slot, write, 1, { unmarked: true })]
  const issued = stage.now()
  try {
    await stage.send(slot, writes, () => em.execute(sql))
  } catch (error) {
    // Behind the end, all statements get the error of it.
    if (error instanceof EndedByStatementError && !known.has(error)) noteEnd(stage, step, issued, error, writes)
    throw error
  }
  // Where each statement commits, a procedure may do so itself, and one that ends nothing does no harm.
  if (role.commit !== 'autocommit' && how !== 'backslash and rollback')
    stage.play.journal.lie('ending accepted', `${mark} in ${slot}: ${how}`)
}

/** Errors that were taken note of. */
const known = new WeakSet<EndedByStatementError>()

/** The error says what has become of all that was sent before. */
function noteEnd(
  stage: Stage,
  { role }: StepOf<'ending'>,
  issued: number,
  error: EndedByStatementError,
  writes: readonly Write[],
): void {
  for (const write of writes) Object.assign(write, { answer: 'done', answered: stage.now() })
  known.add(error)
  const said = error.outcome
  const outcome: End['outcome'] = said === 'committed' ? said : said === 'rolled back' ? 'aborted' : 'unknown'
  stage.unit.poisoned.add(role)
  stage.unit.ends.push({
    called: stage.now(),
    roles: role,
    transaction: undefined,
    answered: stage.now(),
    outcome,
    except: new Map(),
    byStatement: issued,
  })
}
