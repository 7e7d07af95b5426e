/** Whether the entities in memory show what their rows hold, in the same transaction. */
import { Note } from './entities.ts'
import type { StepOf, Slot } from './program.ts'
import type { Level } from './record.ts'
import { overlaps } from './oracle.ts'
import type { Stage } from './stage.ts'

export async function load(stage: Stage, role: Slot): Promise<void> {
  const level = stage.level(role)
  const notes = await stage.ask(role, () => level.em.find(Note, { text: { $like: 'shared-%' } }))
  for (const note of notes) level.entities.set(stage.cell(role, 'note', note.text), note)
  if (!stage.isForgotten) await compareAll(stage, role, level)
}

export async function compare(stage: Stage, step: StepOf<'compare'>): Promise<void> {
  const { role } = step
  const level = stage.level(role)
  await compareAll(stage, role, level)
  const [chosen] = settled(stage, level)
  if (!step.again || chosen === undefined) return
  const [cell, entity] = chosen
  const mark = `w${stage.name(step)}`
  entity.mark = mark
  const write = stage.write(step, role, cell, mark, { buffered: true })
  await stage.flush(role)
  const row = await rowOf(stage, role, cell)
  const isUndone = stage.unit.scopes.some((scope) => {
    return !stage.scopes.includes(scope) && overlaps(write, scope.called, scope.answered)
  })
  if (row !== mark && !isUndone) stage.unit.stuck.push(`${cell}: changed to ${mark} and flushed, and is ${row}`)
}

async function compareAll(stage: Stage, role: Slot, level: Level): Promise<void> {
  for (const [cell, entity] of settled(stage, level)) {
    const shows = entity.mark ?? null
    const row = await rowOf(stage, role, cell)
    const isStill = settled(stage, level).some(([each]) => each === cell)
    if (row !== shows && isStill) {
      stage.play.journal.lie('entity shows', `${cell}: the entity shows ${shows}, the row has ${row}`)
    }
  }
}

/** Those without a change that is not sent yet, and that no branch changes meanwhile. */
function settled({ play, unit }: Stage, { entities, pending }: Level) {
  const meanwhile = play.journal.writes.filter((write) => {
    const outlives = write.scopes.some(({ left }) => write.answered > left)
    const isBeside = unit.scopes.some((scope) => {
      return !write.scopes.includes(scope) && overlaps(write, scope.called, scope.answered)
    })
    const isCarriedAlong = write.role.commit === 'autocommit' && write.buffered && !write.flushed
    return write.unit === unit && (write.isForgotten || outlives || isBeside || isCarriedAlong)
  })
  return [...entities].filter(([cell]) => ![...pending, ...meanwhile].some((write) => write.cell === cell))
}

async function rowOf(stage: Stage, role: Slot, cell: string): Promise<string | null | undefined> {
  const text = cell.slice(cell.lastIndexOf(' ') + 1)
  const { em } = stage.level(role)
  const [row] = await stage.ask(role, () =>
    em.execute<{ mark: string | null }[]>(`select mark from note where text = '${text}'`),
  )
  return row?.mark
}
