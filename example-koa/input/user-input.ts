import { z } from 'zod'
import { clearable, indexed, required } from './fields.ts'

const username = indexed()
const password = required(1024)
// An address is proved by a mail that arrives, not by a pattern: this only catches what was typed into the wrong field.
const email = indexed().refine((address) => address.trim() === '' || /.@./s.test(address), 'is invalid')

export const registration = z.object({ username, email, password })

export const credentials = z.object({ email: required(), password: required() })

export const userChanges = z
  .object({
    username: username.optional(),
    email: email.optional(),
    password: password.optional(),
    bio: clearable(),
    image: clearable(),
  })
  .refine((changes) => Object.values(changes).some((value) => value !== undefined), 'needs at least one field')
