/**
 * What is known of a session, in Zope's words. `active`: nothing was written as far as known, so it is rolled back;
 * `changed`: it is to be committed; `readonly`: it refuses to become changed. Source: zope.sqlalchemy's `STATUS_*`.
 */
export type SessionState = 'active' | 'changed' | 'readonly'
