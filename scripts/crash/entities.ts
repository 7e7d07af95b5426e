/** The bank: accounts with a balance, and for each transfer one line in every database it touches. */
import { defineEntity, p } from '@mikro-orm/core'

export const Account = defineEntity({
  name: 'Account',
  properties: { id: p.integer().primary(), balance: p.integer() },
})

export const Ledger = defineEntity({
  name: 'Ledger',
  properties: { transfer: p.string().primary(), account: p.integer(), amount: p.integer() },
})

/** The schema in plain SQL for either database: a check of the library does not go through the library. */
export const SCHEMA = [
  'create table account (id integer primary key, balance integer not null)',
  'create table ledger (transfer varchar(255) primary key, account integer not null, amount integer not null)',
]

export const ACCOUNTS = 40
export const FIRST_BALANCE = 1000
