/** The tables in which the programs leave their markers. */
import { defineEntity, p } from '@mikro-orm/core'

/** Rows that a program inserts: nothing keeps the same text from being there twice. */
export const Fact = defineEntity({
  name: 'Fact',
  tableName: 'fact',
  properties: { id: p.integer().primary(), text: p.string() },
})

/** Rows that are there before a program runs, and that it changes or removes. */
export const Note = defineEntity({
  name: 'Note',
  tableName: 'note',
  properties: { id: p.integer().primary(), text: p.string().unique(), mark: p.string().nullable() },
})

/** A foreign key that is checked at COMMIT. */
const LATE = `create table if not exists late (parent integer not null references note (id) deferrable initially deferred)`

export const SCHEMA: Readonly<Record<'postgresql' | 'sqlite', readonly string[]>> = {
  postgresql: [
    'create table fact (id serial primary key, text varchar(255) not null)',
    'create table note (id serial primary key, text varchar(255) not null unique, mark varchar(255))',
    LATE,
  ],
  sqlite: [
    'create table fact (id integer primary key autoincrement, text text not null)',
    'create table note (id integer primary key autoincrement, text text not null unique, mark text)',
    LATE,
  ],
}
