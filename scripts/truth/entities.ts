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

/** A table whose trigger makes a fact of each of its rows. */
export const Inbox = defineEntity({
  name: 'Inbox',
  tableName: 'inbox',
  properties: { text: p.string().primary() },
})

/** A view that makes a fact of each note that is read, on PostgreSQL. */
export const Echo = defineEntity({
  name: 'Echo',
  tableName: 'echoes',
  view: true,
  expression: 'select note, id from echoes',
  properties: { note: p.string().primary(), id: p.integer() },
})

/** A view that sets something for the connection, on PostgreSQL. */
export const Setting = defineEntity({
  name: 'Setting',
  tableName: 'settings',
  view: true,
  expression: 'select mark from settings',
  properties: { mark: p.string().primary() },
})

/** A foreign key that is checked at COMMIT. */
const LATE = `create table if not exists late (parent integer not null references note (id) deferrable initially deferred)`

export const SCHEMA: Readonly<Record<'postgresql' | 'sqlite', readonly string[]>> = {
  postgresql: [
    'create table fact (id serial primary key, text varchar(255) not null)',
    'create table note (id serial primary key, text varchar(255) not null unique, mark varchar(255))',
    LATE,
    'create table inbox (text varchar(255) primary key)',
    `create function add_fact(mark text) returns int language plpgsql as
      $$ begin insert into fact (text) values (mark); return 1; end $$`,
    `create function add_fact_of_sql(mark text) returns int language sql as
      $$ insert into fact (text) values (mark) returning 1 $$`,
    `create procedure add_fact_by_call(mark text) language plpgsql as
      $$ begin insert into fact (text) values (mark); end $$`,
    `create function on_inbox() returns trigger language plpgsql as
      $$ begin insert into fact (text) values (new.text); return new; end $$`,
    'create trigger filed before insert on inbox for each row execute function on_inbox()',
    'create view door as select text from fact',
    'create trigger entered instead of insert on door for each row execute function on_inbox()',
    'create view ruled as select text from fact',
    'create rule entered as on insert to ruled do instead insert into fact (text) values (new.text)',
    `create view echoes as select text as note, add_fact('w' || substr(text, 6)) as id from note where text like 'note-%'`,
    `create function set_mark(mark text) returns text language sql as $$ select set_config('truth.mark', mark, false) $$`,
    `create view settings as select set_mark('by a view') as mark`,
    `create procedure set_mark_by_call(mark text) language plpgsql as
      $$ begin perform set_config('truth.mark', mark, false); end $$`,
    `create function make_temporary(name text) returns int language plpgsql as
      $$ begin execute 'create temporary table ' || name || ' (x int)'; return 1; end $$`,
    `create function lock_it(number int) returns int language plpgsql as
      $$ begin perform pg_advisory_lock(number); return 1; end $$`,
    `create procedure add_and_commit(mark text) language plpgsql as
      $$ begin insert into fact (text) values (mark); commit; end $$`,
  ],
  sqlite: [
    'create table fact (id integer primary key autoincrement, text text not null)',
    'create table note (id integer primary key autoincrement, text text not null unique, mark text)',
    LATE,
    'create table inbox (text text primary key)',
    'create trigger filed after insert on inbox begin insert into fact (text) values (new.text); end',
    'create view door as select text from fact',
    `create trigger entered instead of insert on door begin insert into fact (text) values (new.text); end`,
  ],
}
